/** What may be asked. Unknown parameters are ignored; what is not accepted is told without repeating it. */
import { z } from 'zod'
import { DPS_CODES, TYPES } from '../transforms/codes.ts'
import { code, STATUS_CODES, USER_ACTIONS } from './codes.ts'
import { ReasonHeaders } from './reason.ts'

/** An empty parameter says nothing. */
export function optional<S extends z.ZodType>(schema: S) {
  return z.preprocess((given) => (given === '' ? undefined : given), schema.optional())
}

/** Given once or several times; any of the values may hold. */
export function list<S extends z.ZodType>(item: S) {
  return z.preprocess((given) => [given ?? []].flat().filter((each) => each !== ''), z.array(item))
}

/** A text that a row can have: PostgreSQL's has no NUL. */
export function storableText(name: string, shortest: number, longest: number) {
  const message = `${name} must have ${shortest} to ${longest} characters`
  return z
    .string({ error: message })
    .min(shortest, message)
    .max(longest, message)
    .regex(/^[^\0]*$/, 'a parameter has a value that no row can have')
}

/** PostgreSQL has no year 0. */
export function date(name: string) {
  const message = `${name} must be a date like 2024-07-01`
  return optional(z.iso.date({ error: message }).refine((given) => !given.startsWith('0000'), message))
}

function whole(name: string, least: number, most: number, tooMuch: string) {
  const message = `${name} must be a whole number from ${least}`
  return z.coerce.number({ error: message }).int(message).min(least, message).max(most, tooMuch)
}

export const paging = {
  page: optional(whole('page', 0, 2_147_483_647, 'page is too large')).describe('From 0; 0 unless given.'),
  size: optional(whole('size', 1, 1000, 'Page size must be 1000 or less')).describe('20 unless given.'),
}

/** What reports can be sorted by, with the columns that do it. A reference is digits: shorter is smaller. */
const SORTABLE: Readonly<Record<string, readonly string[]>> = {
  incidentDateAndTime: ['incident_date_and_time_local'],
  reportReference: ['length(r.reference)', 'reference'],
  type: ['type'],
  status: ['status'],
  location: ['location'],
  title: ['title'],
  reportedAt: ['reported_at_local'],
  reportedBy: ['reported_by'],
  createdAt: ['created_at_local'],
  modifiedAt: ['modified_at_local'],
  modifiedBy: ['modified_by'],
}

export interface SortBy {
  readonly property: string
  readonly direction: 'ASC' | 'DESC'
  readonly columns: readonly string[]
}

const sortMessage = `sort must be one of ${Object.keys(SORTABLE).join(', ')}, then ",ASC" or ",DESC"`
const SORT = new RegExp(`^(${Object.keys(SORTABLE).join('|')})(?:,(asc|desc))?$`, 'i')

const filters = {
  reference: optional(
    z.string({ error: 'reference must be 1 to 25 digits' }).regex(/^\d{1,25}$/, 'reference must be 1 to 25 digits'),
  ),
  location: list(storableText('location', 2, 20)).describe('Prison or PECS region.'),
  source: optional(code('source', ['DPS', 'NOMIS'])).describe('Where the report was created.'),
  status: list(code('status', STATUS_CODES)),
  type: list(
    code(
      'type',
      TYPES.map(([type]) => type),
    ),
  ),
  incidentDateFrom: date('incidentDateFrom').describe('Inclusive.'),
  incidentDateUntil: date('incidentDateUntil').describe('Inclusive.'),
  reportedDateFrom: date('reportedDateFrom').describe('Inclusive.'),
  reportedDateUntil: date('reportedDateUntil').describe('Inclusive.'),
  reportedByUsername: optional(storableText('reportedByUsername', 3, 120)),
  involvingStaffUsername: optional(storableText('involvingStaffUsername', 3, 120)),
  involvingPrisonerNumber: optional(storableText('involvingPrisonerNumber', 7, 10)),
  involvingPrisonerRole: list(code('involvingPrisonerRole', [...DPS_CODES.prisonerRoles.keys()])).describe(
    'Held by any prisoner of the report.',
  ),
  userAction: list(code('userAction', USER_ACTIONS)),
}

export const ReportQuery = z.object({
  ...filters,
  ...paging,
  sort: list(z.string({ error: sortMessage }).regex(SORT, sortMessage)).describe(
    'property,DIRECTION; incidentDateAndTime,DESC unless given.',
  ),
})

export type ReportQuery = z.infer<typeof ReportQuery>

/** What a report must be to be among the answer's; `caseloads` are the only prisons it may be of, null for any. */
export interface ReportFilters {
  readonly asked: Omit<ReportQuery, 'page' | 'size' | 'sort'>
  readonly caseloads: readonly string[] | null
}

const COUNTED_BY = ['prison', 'type', 'status', 'month'] as const
export type CountedBy = (typeof COUNTED_BY)[number]

const byMessage = `by must be one or several of ${COUNTED_BY.join(', ')}`

export const CountQuery = z.object({
  ...filters,
  by: list(z.enum(COUNTED_BY, { error: byMessage }))
    .refine((given) => given.length > 0, byMessage)
    .transform((given) => [...new Set(given)])
    .describe('What the counts are of; several give one count for each combination.'),
})

export const PrisonerNumber = z.object({ prisonerNumber: storableText('prisonerNumber', 7, 10) })

export const SummaryQuery = z.object({
  recentMonths: optional(whole('recentMonths', 1, 120, 'recentMonths must be 120 or less')).describe(
    'How far back an incident is recent; 12 unless given.',
  ),
})

const historyMessage = 'includeHistory must be true or false'

export const DetailsQuery = z.object({
  includeHistory: optional(z.enum(['true', 'false'], { error: historyMessage })).describe(
    'Whether earlier types come with their questions; false unless given.',
  ),
})

export const ReportId = z.object({ id: z.guid({ error: 'the id of a report is a UUID' }) })

export const Reference = z.object({
  reference: z.string().regex(/^\d{1,25}$/, 'reference must be 1 to 25 digits'),
})

/** Ascending unless it says otherwise; the newest incident first when nothing is asked. */
export function sortsBy(given: ReportQuery['sort']): SortBy[] {
  const asked = given.length > 0 ? given : ['incidentDateAndTime,DESC']
  return asked.map((each) => {
    const [name = '', direction = 'asc'] = each.split(',')
    const property = Object.keys(SORTABLE).find((known) => known.toLowerCase() === name.toLowerCase())!
    return { property, direction: direction.toLowerCase() === 'desc' ? 'DESC' : 'ASC', columns: SORTABLE[property]! }
  })
}

const lsnMessage = 'If-Source-LSN-At-Least must be an LSN like 16/B374D848'

/** Of routes that answer out of the store. */
export const FreshHeaders = ReasonHeaders.extend({
  'if-source-lsn-at-least': z
    .string()
    .regex(/^[\da-fA-F]{1,8}\/[\da-fA-F]{1,8}$/, lsnMessage)
    .optional()
    .describe('Waits until the store has everything up to this LSN of the source, for some seconds; then 409.'),
})
