/** Which parts of an incident a change is of, as a set of bits: bit i is PARTS[i]. */
import { tableName, type Row, type RowChange, type Table, type Value } from '../core/change.ts'
import { PARTS, type Part } from '../core/event.ts'
import { splitDetails } from './addenda.ts'

export type PartSet = number

export const NO_PARTS: PartSet = 0

/** Who edited a report last, and when: counts where nothing else has changed. */
const MARK: PartSet = 1 << PARTS.length

/** The table that an incident begins and ends with. */
export interface Root {
  readonly typeColumn: string
  readonly statusColumn: string
  /** What a changed column means; BASIC_REPORT where it is not here. */
  readonly columns: ReadonlyMap<string, PartSet>
}

const NOMIS_MARKS = [
  'modify_datetime',
  'modify_user_id',
  'audit_timestamp',
  'audit_user_id',
  'audit_module_name',
  'audit_client_user_id',
  'audit_client_ip_address',
  'audit_client_workstation_name',
  'audit_additional_info',
]

const ROOTS: ReadonlyMap<string, Root> = new Map([
  ['public.report', root({ type: ['type'], status: 'status', marks: ['modified_at', 'modified_by', 'modified_in'] })],
  [
    'nomis.incident_cases',
    root({ type: ['incident_type', 'questionnaire_id'], status: 'incident_status', marks: NOMIS_MARKS }),
  ],
])

interface RootColumns {
  /** The type, and what follows from it. */
  readonly type: readonly [string, ...string[]]
  readonly status: string
  readonly marks: readonly string[]
}

function root({ type, status, marks }: RootColumns): Root {
  return {
    typeColumn: type[0],
    statusColumn: status,
    columns: new Map([
      ...type.map((column) => [column, setOf('TYPE')] as const),
      [status, setOf('STATUS')],
      ...marks.map((column) => [column, MARK] as const),
    ]),
  }
}

const PARTIES = 'nomis.incident_case_parties'

const CHILDREN: Readonly<Record<string, Part>> = {
  'public.status_history': 'STATUS',
  'public.history': 'TYPE',
  'public.question': 'QUESTIONS',
  'public.response': 'QUESTIONS',
  'public.historical_question': 'QUESTIONS',
  'public.historical_response': 'QUESTIONS',
  'public.prisoner_involvement': 'PRISONERS_INVOLVED',
  'public.staff_involvement': 'STAFF_INVOLVED',
  'public.correction_request': 'CORRECTION_REQUESTS',
  'public.description_addendum': 'DESCRIPTION_ADDENDUMS',
  'nomis.incident_questionnaire_hty': 'TYPE',
  'nomis.incident_case_questions': 'QUESTIONS',
  'nomis.incident_case_responses': 'QUESTIONS',
  'nomis.incident_que_question_hty': 'QUESTIONS',
  'nomis.incident_que_response_hty': 'QUESTIONS',
  'nomis.incident_case_requirements': 'CORRECTION_REQUESTS',
}

/** The tables whose changes are of an incident, as `schema.table`. */
export const EVENT_TABLES: readonly string[] = [...ROOTS.keys(), PARTIES, ...Object.keys(CHILDREN)]

interface Meaning {
  readonly root: Root | null
  parts(change: RowChange): PartSet
}

const meanings = new WeakMap<Table, Meaning | null>()

function meaningOf(table: Table): Meaning | null {
  const known = meanings.get(table)
  if (known !== undefined) return known
  const made = makeMeaning(tableName(table))
  meanings.set(table, made)
  return made
}

function makeMeaning(name: string): Meaning | null {
  const found = ROOTS.get(name)
  if (found !== undefined) return { root: found, parts: ({ before, after }) => rootParts(found, before, after) }
  if (name === PARTIES) {
    return {
      root: null,
      parts: ({ before, after }) => unlessSame(before, after, partyParts(before) | partyParts(after)),
    }
  }
  const part = CHILDREN[name]
  if (part === undefined) return null
  return { root: null, parts: ({ before, after }) => unlessSame(before, after, setOf(part)) }
}

/** Null where the table is not the one that an incident begins and ends with. */
export function rootOf(change: RowChange): Root | null {
  return meaningOf(change.table)?.root ?? null
}

/** What has changed; nothing for an update that leaves every column as it was, and for a root that comes or goes. */
export function partsOf(change: RowChange): PartSet {
  return meaningOf(change.table)?.parts(change) ?? NO_PARTS
}

export function setOf(part: Part): PartSet {
  return 1 << PARTS.indexOf(part)
}

/** In order of precedence, never empty. */
export function partsIn(set: PartSet): readonly [Part, ...Part[]] {
  const [first, ...rest] = PARTS.filter((part) => (set & setOf(part)) !== 0)
  return first === undefined ? ['BASIC_REPORT'] : [first, ...rest]
}

function rootParts({ columns }: Root, before: Row | null, after: Row | null): PartSet {
  if (before === null || after === null) return NO_PARTS
  let parts = NO_PARTS
  for (const column in after) {
    if (same(before[column], after[column])) continue
    parts |=
      column === 'incident_details' ? detailsParts(before[column], after[column]) : (columns.get(column) ?? BASIC)
  }
  return parts
}

const BASIC = setOf('BASIC_REPORT')

/** NOMIS keeps a description and what was added to it in one column. */
function detailsParts(before: Value | undefined, after: Value | undefined): PartSet {
  const [was, is] = [splitDetails(detailsText(before)), splitDetails(detailsText(after))]
  const addenda = JSON.stringify(was.addenda) === JSON.stringify(is.addenda) ? NO_PARTS : setOf('DESCRIPTION_ADDENDUMS')
  // An addition that is the first makes an absent description an empty one.
  return addenda | ((was.description ?? '') === (is.description ?? '') && addenda !== NO_PARTS ? NO_PARTS : BASIC)
}

function detailsText(value: Value | undefined): string | null {
  return typeof value === 'string' ? value : null
}

/** One table for both: without a staff id it is a prisoner. */
function partyParts(row: Row | null): PartSet {
  if (row === null) return NO_PARTS
  return setOf((row['staff_id'] ?? null) === null ? 'PRISONERS_INVOLVED' : 'STAFF_INVOLVED')
}

function unlessSame(before: Row | null, after: Row | null, parts: PartSet): PartSet {
  if (before === null || after === null) return parts
  for (const column in after) if (!same(before[column], after[column])) return parts
  return NO_PARTS
}

/** A column that was added since is null in the row before. */
function same(a: Value | undefined, b: Value | undefined): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0
  return Object.is(a ?? null, b ?? null)
}
