/**
 * The API's SQL. It reads the reports that speak for their incident, so that a report of NOMIS whose incident DPS took
 * over is nowhere. What the present service writes where it knows nothing stands in for an absence.
 */
import { countReports } from './counts.ts'
import type { Query } from './database.ts'
import { filters, REPORTS } from './filters.ts'
import { sortsBy, type ReportFilters, type ReportQuery, type SortBy } from './parameters.ts'

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
 * that of sequence, then key (rule dps.duplicate-questions).
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
  // the plan costs as much as the answer, and is the same for every report
  const name = `report ${shape} ${by}`
  if (caseloads === null) return (await query<R>(sql, [value], name))[0]
  return (await query<R>(`${sql} AND r.location = ANY ($2)`, [value, caseloads], `${name} caseloads`))[0]
}

/** How many reports match, and those of one page. */
export async function readPage<R extends object>(
  query: Query,
  which: ReportFilters,
  page: { offset: number; size: number; sort: ReportQuery['sort'] },
) {
  const counted = countReports(query, which)
  // the first page is wanted whatever their number; one behind the last is not looked for
  if (page.offset > 0 && page.offset >= (await counted)) return { total: await counted, content: [] as R[] }
  const { where, values } = filters(which)
  const found = query<R>(
    `SELECT ${BASIC} FROM ${REPORTS} ${where} ORDER BY ${orderBy(sortsBy(page.sort))}
     LIMIT $${values.length + 1} OFFSET $${values.length + 2}`,
    [...values, page.size, page.offset],
  )
  const [total, content] = await Promise.all([counted, found])
  return { total, content }
}

/** The id decides what the rest leaves open, so that pages neither repeat nor skip a report. */
function orderBy(sorts: readonly SortBy[]): string {
  const columns = sorts.flatMap((sort) =>
    sort.columns.map((column) => `${column.includes('(') ? column : `r.${column}`} ${sort.direction}`),
  )
  return [...columns, `r.id ${sorts[0]!.direction}`].join(', ')
}
