/** The report tables of the published copy: views over its current shapes, and what of them may leave, suppressed. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { ENTITIES } from '../core/incident.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import { definitions, literal, rowColumns } from './analytics-layout.ts'
import { REPORT_GAPS } from './analytics-report-gaps.ts'
import { REPORT_RULES } from './analytics-report-rules.ts'
import type { Report } from './analytics-report.ts'
import { ASSAULT_REPORTS } from './analytics-reports-assaults.ts'
import { COUNT_MACROS, COUNT_REPORTS } from './analytics-reports-counts.ts'
import { FIND_REPORTS } from './analytics-reports-finds.ts'
import { NATIONAL_REPORTS, RATES } from './analytics-reports-national.ts'
import { PRISONER_REPORTS } from './analytics-reports-prisoners.ts'
import { SELF_HARM_REPORTS } from './analytics-reports-self-harm.ts'

export const REPORTS: readonly Report[] = [
  ...COUNT_REPORTS,
  ...PRISONER_REPORTS,
  ...ASSAULT_REPORTS,
  ...SELF_HARM_REPORTS,
  ...FIND_REPORTS,
  ...NATIONAL_REPORTS,
]

/** Beside the published copy: location, month (its first day), average_population. */
export const POPULATION_FILE = 'population.csv'

/** Counts of this many and fewer are not published. */
export const SMALL_NUMBER = 5

/**
 * Makes every report in the open publication, before the shapes that they are over. A population that cannot be read is said
 * in `report_gaps`, and rates are null.
 */
export async function publishReports(
  connection: DuckDBConnection,
  directory: string,
  projections: Projections,
): Promise<void> {
  // DuckDB binds each view when it is made, all the way down; over empty tables that takes a fifth of the time.
  const standIns = ENTITIES.flatMap((entity) =>
    ['current', 'latest'].map((shape) => ({ name: `${shape}_${projections[entity].table}`, entity })),
  )
  await connection.run(
    standIns
      .map(({ name, entity }) => `CREATE TABLE ${name} (${definitions(rowColumns(projections[entity]))})`)
      .join(';'),
  )
  await connection.run(SHARED)
  const problem = await population(connection, directory)
  const gaps =
    problem === null ? REPORT_GAPS : [...REPORT_GAPS, ['report_safety_in_custody_…', POPULATION_FILE, problem]]
  await connection.run(`
    INSERT INTO report_rule VALUES ${REPORT_RULES.map(({ rule, category, type, by, question, answer }) =>
      row([rule, category, type, by, question, answer]),
    ).join(', ')};
    CREATE TABLE report_gaps (report VARCHAR, missing VARCHAR, why VARCHAR);
    INSERT INTO report_gaps VALUES ${gaps.map(row).join(', ')}`)
  await connection.run(REPORTS.map(views).join(';'))
  await connection.run(COUNT_MACROS)
  await connection.run(standIns.map(({ name }) => `DROP TABLE ${name}`).join(';'))
}

function views(report: Report): string {
  const { name, doc, sql } = report
  return `
    CREATE VIEW ${name} AS ${sql};
    COMMENT ON VIEW ${name} IS ${literal(doc)};
    ${suppressedView(report)}`
}

/** A rate tells the count that it is made of, so it goes with it. */
function suppressedView({ name, doc, published }: Report): string {
  if (published === null) return ''
  const rates = name === 'report_safety_in_custody_by_location' ? [...RATES] : []
  const replaced = [
    ...published.counts.map((count) => `suppressed("${count}") AS "${count}"`),
    ...rates.map(([rate, count]) => `CASE WHEN "${count}" > ${SMALL_NUMBER} THEN "${rate}" END AS "${rate}"`),
  ]
  const view = name.replace('report_', 'published_')
  return `
    CREATE VIEW ${view} AS SELECT * REPLACE (${replaced.join(', ')}) FROM ${name} ${published.where === undefined ? '' : `WHERE ${published.where}`};
    COMMENT ON VIEW ${view} IS ${literal(`${doc} Counts of ${SMALL_NUMBER} and fewer are null.`)}`
}

/**
 * `report_rule_met`: which report meets which rule by which category. An answer is told by code or by text; a NOMIS question
 * without its text has that of its questionnaire.
 */
const SHARED = `
  CREATE MACRO suppressed(n) AS CASE WHEN n > ${SMALL_NUMBER} THEN n END;
  CREATE TABLE population (location VARCHAR, month DATE, average_population DOUBLE);
  CREATE TABLE report_rule (rule VARCHAR, category VARCHAR, type VARCHAR, told_by VARCHAR, question VARCHAR, answer VARCHAR);
  CREATE VIEW report_type_family AS
    SELECT code, any_value(description) AS description FROM latest_reference_code
    WHERE domain = 'typeFamily' AND source = 'DPS' GROUP BY code;
  CREATE VIEW report_answer AS
    SELECT q.report_id, q.code AS question_code, upper(coalesce(q.question, nq.description)) AS question,
      a.code AS answer_code, upper(coalesce(a.response, na.description)) AS answer, a.sequence
    FROM current_question q JOIN current_response a ON a.question_id = q.id
    LEFT JOIN (SELECT code, any_value(description) AS description FROM latest_reference_code
               WHERE domain = 'nomis.question' GROUP BY code) nq ON q.source = 'NOMIS' AND nq.code = q.code
    LEFT JOIN (SELECT code, any_value(description) AS description FROM latest_reference_code
               WHERE domain = 'nomis.answer' GROUP BY code) na ON a.source = 'NOMIS' AND na.code = a.code
    WHERE q.report_id IS NOT NULL;
  COMMENT ON VIEW report_answer IS 'The answers to the questions of a report’s present type, texts in upper case.';
  CREATE VIEW report_rule_met AS
    SELECT DISTINCT a.report_id, m.rule, m.category
    FROM report_answer a JOIN report_rule m ON m.told_by = 'code' AND m.question = a.question_code AND m.answer = a.answer_code
    UNION
    SELECT DISTINCT a.report_id, m.rule, m.category
    FROM report_answer a JOIN report_rule m ON m.told_by = 'text' AND m.question = a.question AND m.answer = a.answer
    JOIN current_report r ON r.id = a.report_id AND r.type = m.type`

/** Resolves to why the population could not be read; null when it was, or when there is none. */
async function population(connection: DuckDBConnection, directory: string): Promise<string | null> {
  const path = join(directory, POPULATION_FILE)
  if (!existsSync(path)) return null
  try {
    // Read aside first: a statement that fails would end the publication's transaction.
    const rows = await connection.runAndReadAll(`
      SELECT location, CAST(date_trunc('month', CAST(month AS DATE)) AS VARCHAR), avg(TRY_CAST(average_population AS DOUBLE))
      FROM read_csv(${literal(path)}, header = true, all_varchar = true)
      WHERE TRY_CAST(month AS DATE) IS NOT NULL AND TRY_CAST(average_population AS DOUBLE) > 0 GROUP BY 1, 2`)
    const found = rows.getRows() as [string, string, number][]
    if (found.length === 0) return 'It has no row with a location, a month and a population above 0.'
    await connection.run(
      `INSERT INTO population VALUES ${found.map(([location, month, people]) => `(${literal(location)}, DATE ${literal(month)}, ${people})`).join(', ')}`,
    )
    return null
  } catch {
    return 'It could not be read: it needs the columns location, month and average_population.'
  }
}

function row(values: readonly (string | null)[]): string {
  return `(${values.map((value) => (value === null ? 'NULL' : literal(value))).join(', ')})`
}
