/**
 * The API's SQL. It reads the view of the reports that speak for their incident, so that a report of NOMIS whose
 * incident DPS took over is nowhere. What the present service writes where it knows nothing stands in for an absence.
 */
import type { Count } from './counts.ts'
import type { Query } from './database.ts'
import { sortsBy, type CountedBy, type ReportFilters, type ReportQuery, type SortBy } from './parameters.ts'

/**
 * The view's own condition, asked of each row that is looked at: PostgreSQL would otherwise hash every reference of DPS
 * for a page of twenty. OFFSET keeps it from that.
 */
export const REPORTS = `(
  SELECT * FROM prisons.incidents_report n
  WHERE n.source = 'DPS' OR NOT EXISTS (
    SELECT FROM prisons.incidents_report d WHERE d.reference = n.reference AND d.source = 'DPS' OFFSET 0)) r`

/** All that match, less those that DPS hides: two plain joins, which the planner has good ways for. */
function countOf(where: string): string {
  const all = 'FROM prisons.incidents_report r'
  const hidden = `r.source = 'NOMIS' AND EXISTS (
    SELECT FROM prisons.incidents_report d WHERE d.reference = r.reference AND d.source = 'DPS')`
  return `SELECT (SELECT count(*) ${all} ${where}) -
                 (SELECT count(*) ${all} ${where === '' ? 'WHERE' : `${where} AND`} ${hidden}) AS total`
}

const NO_DETAILS = `'NO DETAILS GIVEN'`
const NO_USER = `'unknown'`
const NO_AUTHOR = `'INCIDENT_REPORTING_API'`

/**
 * The schemas of which a table is stopped, as the newest markers say: what changes in it does not come. A store of before
 * markers said so has no such column.
 */
const STOPPED = `ARRAY(
  SELECT split_part(stopped, '.', 1)
  FROM (SELECT to_jsonb(p) -> 'stopped' AS tables FROM prisons.incidents_place p) s,
       jsonb_array_elements_text(CASE jsonb_typeof(tables) WHEN 'array' THEN tables ELSE '[]' END) AS stopped)`

/** Of an incident `r`: something of it is in the dead letters, or one of its model's tables is stopped. */
export const INCOMPLETE = `(EXISTS (SELECT FROM prisons.incidents_incomplete i WHERE i.reference = r.reference)
  OR CASE r.source WHEN 'DPS' THEN 'public' ELSE 'nomis' END = ANY (${STOPPED}))`

const BASIC = `
  r.id, r.reference AS "reportReference", r.type, r.incident_date_and_time_local AS "incidentDateAndTime",
  coalesce(r.location, '') AS location, coalesce(r.title, ${NO_DETAILS}) AS title,
  coalesce(r.description, ${NO_DETAILS}) AS description, coalesce(r.reported_by, ${NO_USER}) AS "reportedBy",
  r.reported_at_local AS "reportedAt", r.status, r.created_at_local AS "createdAt",
  r.modified_at_local AS "modifiedAt", coalesce(r.modified_by, ${NO_USER}) AS "modifiedBy",
  r.created_in = 'NOMIS' AS "createdInNomis", r.system_of_record = 'NOMIS' AS "lastModifiedInNomis",
  r.duplicated_report_id AS "duplicatedReportId", r.last_user_action AS "latestUserAction",
  ${INCOMPLETE} AS incomplete`

/** The source's keys are numbers as text, alone or behind a slash: shorter is smaller. */
const KEY_ORDER = 'length(source_key), source_key'

/** NOMIS counts parties and answers across the whole incident: there the place within the parent stands in. */
function renumbered(parent: string, first: 0 | 1): string {
  return `CASE WHEN source = 'NOMIS'
    THEN row_number() OVER (PARTITION BY ${parent} ORDER BY sequence, ${KEY_ORDER}) - 1 + ${first}
    ELSE sequence END AS place`
}

/** The rows of this report in one of its tables: found by the incident, which is what is indexed. */
function ofReport(table: string, first: 0 | 1): string {
  return `(SELECT *, ${renumbered('report_id', first)} FROM prisons.incidents_${table}
           WHERE reference = r.reference AND report_id = r.id)`
}

function array(object: string, order: string): string {
  return `coalesce(json_agg(json_build_object(${object}) ORDER BY ${order}), '[]')`
}

const RESPONSES = array(
  `'code', code, 'response', coalesce(response, ''), 'label', coalesce(label, response, ''), 'sequence', place,
   'responseDate', response_date, 'additionalInformation', additional_information,
   'recordedBy', coalesce(recorded_by, ${NO_USER}), 'recordedAt', coalesce(recorded_at_local, r.reported_at_local)`,
  `sequence, ${KEY_ORDER}`,
)

/**
 * The questions out of `asked`, a table with the place of each. Two questions with one code are possible: their order is
 * that of sequence, then key (domain 9.3).
 */
function questions(asked: string): string {
  // Grouped once: left to itself the planner, which does not know of a large report, groups again for each question.
  return `
    WITH a AS MATERIALIZED (
      SELECT question_id, ${RESPONSES} AS responses
      FROM (SELECT *, ${renumbered('question_id', 0)} FROM prisons.incidents_response
            WHERE reference = r.reference) s
      GROUP BY question_id)
    SELECT ${array(
      `'code', q.code, 'question', coalesce(q.question, ''), 'label', coalesce(q.label, q.question, ''),
       'sequence', q.place, 'responses', coalesce(a.responses, '[]'),
       'additionalInformation', q.additional_information`,
      'q.sequence, length(q.source_key), q.source_key',
    )}
    FROM ${asked} q
    LEFT JOIN a ON a.question_id = q.id`
}

/** Those of an earlier type name the change that ended it, and not the report. */
const EARLIER_QUESTIONS = `(SELECT *, ${renumbered('type_change_id', 1)} FROM prisons.incidents_question
           WHERE reference = r.reference AND type_change_id = t.id)`

const STATUSES = `
  SELECT ${array(
    `'status', status, 'changedAt', changed_at_local, 'changedBy', coalesce(changed_by, ${NO_USER}),
     'nomisStatus', CASE WHEN source = 'NOMIS' THEN status_raw END`,
    `changed_at_local, ${KEY_ORDER}`,
  )}
  FROM prisons.incidents_status_change WHERE reference = r.reference AND report_id = r.id`

const STAFF = `
  SELECT ${array(
    `'sequence', place, 'staffUsername', staff_username, 'firstName', coalesce(first_name, ''),
     'lastName', coalesce(last_name, ''), 'staffRole', staff_role, 'comment', comment`,
    `sequence, ${KEY_ORDER}`,
  )}
  FROM ${ofReport('staff_involvement', 0)} s`

const PRISONERS = `
  SELECT ${array(
    `'sequence', place, 'prisonerNumber', coalesce(prisoner_number, ''), 'firstName', coalesce(first_name, ''),
     'lastName', coalesce(last_name, ''), 'prisonerRole', prisoner_role, 'outcome', outcome, 'comment', comment`,
    `sequence, ${KEY_ORDER}`,
  )}
  FROM ${ofReport('prisoner_involvement', 0)} p`

const ADDENDA = `
  SELECT ${array(
    `'sequence', place, 'createdBy', coalesce(created_by, ${NO_AUTHOR}), 'createdAt', created_at_local,
     'firstName', coalesce(first_name, ''), 'lastName', coalesce(last_name, ''), 'text', text`,
    `sequence, ${KEY_ORDER}`,
  )}
  FROM ${ofReport('description_addendum', 0)} d`

const CORRECTIONS = `
  SELECT ${array(
    `'sequence', place, 'descriptionOfChange', coalesce(description_of_change, ${NO_DETAILS}),
     'correctionRequestedBy', coalesce(correction_requested_by, ${NO_USER}),
     'correctionRequestedAt', correction_requested_at_local, 'location', location, 'userAction', user_action,
     'originalReportReference', original_report_reference, 'userType', user_type`,
    `sequence, ${KEY_ORDER}`,
  )}
  FROM ${ofReport('correction_request', 0)} c`

const TYPE_CHANGE = `'type', t.type, 'changedAt', t.changed_at_local, 'changedBy', coalesce(t.changed_by, ${NO_USER})`

function typeChanges(object: string): string {
  return `
    SELECT ${array(object, 't.changed_at_local, length(t.source_key), t.source_key')}
    FROM prisons.incidents_type_change t WHERE t.reference = r.reference AND t.report_id = r.id`
}

const HISTORY = typeChanges(
  `${TYPE_CHANGE}, 'questions', (${questions(EARLIER_QUESTIONS)}),
   'nomisType', CASE WHEN t.source = 'NOMIS' THEN t.type_raw END`,
)

const details = (history: string): string => `
  ${BASIC},
  (${ADDENDA}) AS "descriptionAddendums", (${questions(ofReport('question', 1))}) AS questions,
  (${history}) AS history, (${STATUSES}) AS "historyOfStatuses",
  (${typeChanges(TYPE_CHANGE)}) AS "incidentTypeHistory", (${STAFF}) AS "staffInvolved",
  (${PRISONERS}) AS "prisonersInvolved", (${CORRECTIONS}) AS "correctionRequests",
  coalesce(r.staff_involvement_done, true) AS "staffInvolvementDone",
  coalesce(r.prisoner_involvement_done, true) AS "prisonerInvolvementDone",
  CASE WHEN r.source = 'NOMIS' THEN r.type_raw END AS "nomisType",
  CASE WHEN r.source = 'NOMIS' THEN r.status_raw END AS "nomisStatus"`

const SHAPES = { basic: BASIC, details: details(`SELECT '[]'::json`), detailsWithHistory: details(HISTORY) } as const

export interface WhichReport {
  readonly by: 'id' | 'reference'
  readonly value: string
  readonly shape: keyof typeof SHAPES
  readonly caseloads: ReportFilters['caseloads']
}

/** Undefined when there is none, or none of these prisons: a caller learns nothing of another prison's. */
export async function readReport<R extends object>(
  query: Query,
  { by, value, shape, caseloads }: WhichReport,
): Promise<R | undefined> {
  const sql = `SELECT ${SHAPES[shape]} FROM ${REPORTS} WHERE r.${by} = $1`
  if (caseloads === null) return (await query<R>(sql, [value]))[0]
  return (await query<R>(`${sql} AND r.location = ANY ($2)`, [value, caseloads]))[0]
}

/** How many reports match, and those of one page. */
export async function readPage<R extends object>(
  query: Query,
  which: ReportFilters,
  page: { offset: number; size: number; sort: ReportQuery['sort']; count: Count },
) {
  const { where, values } = filters(which)
  const total = await page.count(query, countOf(where), values)
  if (page.offset >= total) return { total, content: [] as R[] }
  const content = await query<R>(
    `SELECT ${BASIC} FROM ${REPORTS} ${where} ORDER BY ${orderBy(sortsBy(page.sort))}
     LIMIT $${values.length + 1} OFFSET $${values.length + 2}`,
    [...values, page.size, page.offset],
  )
  // A remembered total may be of a moment before: the page itself knows better.
  const shown = page.offset + content.length
  return { total: content.length < page.size && content.length > 0 ? shown : Math.max(total, shown), content }
}

/** More than these are not one answer. */
export const MOST_GROUPS = 10_000

const GROUPS: Readonly<Record<CountedBy, string>> = {
  prison: `coalesce(r.location, '')`,
  type: 'r.type',
  status: 'r.status',
  month: `to_char(r.incident_date_and_time_local, 'YYYY-MM')`,
}

/** How many reports match, in all and of each group; one more than {@link MOST_GROUPS} when there are too many. */
export async function readCounts(query: Query, { by, ...which }: ReportFilters & { by: readonly CountedBy[] }) {
  const { where, values } = filters(which)
  const columns = by.map((each) => `${GROUPS[each]} AS "${each}"`).join(', ')
  const places = by.map((_, i) => i + 1).join(', ')
  const groups = await query<Partial<Record<CountedBy, string>> & { count: number }>(
    `SELECT ${columns}, count(*) AS count FROM prisons.incidents_current_report r ${where} GROUP BY ${places} ORDER BY ${places}
     LIMIT ${MOST_GROUPS + 1}`,
    values,
  )
  return { total: groups.reduce((sum, { count }) => sum + count, 0), groups }
}

/** The id decides what the rest leaves open, so that pages neither repeat nor skip a report. */
function orderBy(sorts: readonly SortBy[]): string {
  const columns = sorts.flatMap((sort) =>
    sort.columns.map((column) => `${column.includes('(') ? column : `r.${column}`} ${sort.direction}`),
  )
  return [...columns, `r.id ${sorts[0]!.direction}`].join(', ')
}

function filters({ asked, caseloads }: ReportFilters): { where: string; values: unknown[] } {
  const conditions: string[] = []
  const values: unknown[] = []
  const when = (value: unknown, condition: (parameter: string) => string): void => {
    if (value === undefined || (Array.isArray(value) && value.length === 0)) return
    values.push(value)
    conditions.push(condition(`$${values.length}`))
  }
  if (caseloads !== null) {
    values.push(caseloads)
    conditions.push(`r.location = ANY ($${values.length})`)
  }
  when(asked.reference, (p) => `r.reference = ${p}`)
  when(asked.location, (p) => `r.location = ANY (${p})`)
  when(asked.source, (p) => `r.created_in = ${p}`)
  when(asked.status, (p) => `r.status = ANY (${p})`)
  when(asked.type, (p) => `r.type = ANY (${p})`)
  when(asked.incidentDateFrom, (p) => `r.incident_date_and_time_local >= ${p}::date`)
  when(asked.incidentDateUntil, (p) => `r.incident_date_and_time_local < ${p}::date + 1`)
  when(asked.reportedDateFrom, (p) => `r.reported_at_local >= ${p}::date`)
  when(asked.reportedDateUntil, (p) => `r.reported_at_local < ${p}::date + 1`)
  when(asked.reportedByUsername, (p) => `r.reported_by = ${p}`)
  when(asked.involvingStaffUsername, (p) => involving('staff_involvement', `staff_username = ${p}`))
  when(asked.involvingPrisonerNumber, (p) => involving('prisoner_involvement', `prisoner_number = ${p}`))
  // As in the present service the number and the role may be those of two prisoners of the report (domain 6.2).
  when(asked.involvingPrisonerRole, (p) => involving('prisoner_involvement', `prisoner_role = ANY (${p})`))
  when(asked.userAction, (p) => `r.last_user_action = ANY (${p})`)
  return { where: conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`, values }
}

function involving(table: string, condition: string): string {
  return `EXISTS (SELECT FROM prisons.incidents_${table} i
                  WHERE i.reference = r.reference AND i.report_id = r.id AND i.${condition})`
}
