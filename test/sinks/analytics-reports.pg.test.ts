import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pseudonym } from '../../schemas/policy/projection.ts'
import { ANALYST_QUESTIONS } from '../../sinks/analytics-questions.ts'
import { POPULATION_FILE, REPORTS } from '../../sinks/analytics-reports.ts'
import { PRISONER_ROLES, TYPES } from '../../workload/codes.ts'
import { readStatus } from '../../proof/status.ts'
import { topics } from '../../transport/topics.ts'
import { ask } from '../support/analytics.ts'
import { settledPipeline, type Settled } from '../support/settled.ts'

/** Both models in one shape, said in plain SQL on the source, independently of transforms and sink. */
const SOURCE = `
  WITH types (dps, nomis) AS (VALUES ${TYPES.map(([dps, nomis]) => `('${dps}', '${nomis}')`).join(', ')}),
  roles (dps, nomis) AS (VALUES ${PRISONER_ROLES.map(([dps, nomis]) => `('${dps}', '${nomis}')`).join(', ')}),
  statuses (dps, nomis) AS (VALUES ('AWAITING_REVIEW', 'AWAN'), ('ON_HOLD', 'INAN'), ('ON_HOLD', 'PIU'),
    ('NEEDS_UPDATING', 'INREQ'), ('UPDATED', 'INAME'), ('CLOSED', 'CLOSE'), ('DUPLICATE', 'DUP')),
  cases AS (
    SELECT c.* FROM nomis.incident_cases c WHERE incident_case_id < 10000000
      AND NOT EXISTS (SELECT FROM public.report d WHERE d.report_reference = c.incident_case_id::text)),
  r AS (
    SELECT report_reference AS ref, type, status, location, incident_date_and_time AS at FROM public.report
    UNION ALL
    SELECT c.incident_case_id::text, t.dps, s.dps, agy_loc_id, incident_date::date + incident_time::time
    FROM cases c JOIN types t ON t.nomis = incident_type JOIN statuses s ON s.nomis = incident_status),
  reports AS (SELECT *, regexp_replace(type, '_[0-9]+$', '') AS family FROM r WHERE location IS NOT NULL),
  counted AS (SELECT * FROM reports WHERE status NOT IN ('DUPLICATE', 'NOT_REPORTABLE', 'DRAFT')),
  prisoners AS (
    SELECT report_reference AS ref, prisoner_number AS number, prisoner_role AS role, outcome
    FROM public.prisoner_involvement p JOIN public.report d ON d.id = p.report_id
    UNION ALL
    SELECT incident_case_id::text, offender_no, dps, outcome_code
    FROM nomis.incident_case_parties JOIN cases USING (incident_case_id) JOIN roles ON nomis = participation_role
    WHERE staff_id IS NULL),
  answers AS (
    SELECT report_reference AS ref, q.code AS question_code, q.question, a.code AS answer_code, a.response AS answer
    FROM public.question q JOIN public.report d ON d.id = q.report_id JOIN public.response a ON a.question_id = q.id
    UNION ALL
    SELECT incident_case_id::text, nq.questionnaire_que_id::text, coalesce(nq.question, qq.description),
      na.questionnaire_ans_id::text, coalesce(na.answer, qa.description)
    FROM nomis.incident_case_questions nq JOIN cases USING (incident_case_id)
    JOIN nomis.incident_case_responses na USING (incident_case_id, question_seq)
    LEFT JOIN nomis.questionnaire_questions qq ON qq.questionnaire_que_id = nq.questionnaire_que_id
    LEFT JOIN nomis.questionnaire_answers qa ON qa.questionnaire_ans_id = na.questionnaire_ans_id),
  serious AS (
    SELECT DISTINCT ref, bool_or(question = 'WAS THIS A SEXUAL ASSAULT') AS sexual FROM counted JOIN answers USING (ref)
    WHERE answer = 'YES' AND (type IN ('ASSAULT_5', 'ASSAULT_1') AND question IN ('WAS A SERIOUS INJURY SUSTAINED',
        'WAS THIS A SEXUAL ASSAULT', 'WAS MEDICAL TREATMENT FOR CONCUSSION OR INTERNAL INJURIES REQUIRED')
      OR type = 'ASSAULT_1' AND question = 'DID INJURIES RESULT IN DETENTION IN OUTSIDE HOSPITAL AS AN IN-PATIENT')
    GROUP BY ref),
  assaults AS (
    SELECT c.*, (SELECT CASE WHEN bool_or(question_code = '61288' AND answer_code = '213120') THEN 'Prisoner on staff (PoS)'
      WHEN bool_or(question_code = '61287' AND answer_code = '213115') THEN 'Prisoner on prisoner (PoP)' END
      FROM answers a WHERE a.ref = c.ref) AS subtype
    FROM counted c WHERE family = 'ASSAULT'),
  finds AS (
    SELECT c.ref, location, (SELECT max(CASE answer_code WHEN '218785' THEN 'Drug / drug equipment' WHEN '218789' THEN 'Weapon' END)
      FROM answers a WHERE a.ref = c.ref AND question_code = '67187') AS category
    FROM counted c WHERE family = 'FIND')`

const MONTH = `date_trunc('month', at)::date::text`
const BY_LOCATION = (unit: string) => `
  SELECT date_trunc('${unit}', at)::date::text, min(at)::date::text, max(at)::date::text, location, family, count(*)
  FROM counted GROUP BY date_trunc('${unit}', at), location, family`
const LOCATION_COLUMNS = 'start_date, min_date, max_date, location, type, num_of_incidents'

interface Case {
  readonly report: string
  readonly columns?: string
  readonly source: string
  /** Which column is a prisoner number, which analytics has as a pseudonym. */
  readonly number?: number
}

const CASES: readonly Case[] = [
  { report: 'report_incidents_by_location_per_day', columns: LOCATION_COLUMNS, source: BY_LOCATION('day') },
  { report: 'report_incidents_by_location_per_week', columns: LOCATION_COLUMNS, source: BY_LOCATION('week') },
  { report: 'report_incidents_by_location_per_month', columns: LOCATION_COLUMNS, source: BY_LOCATION('month') },
  {
    report: 'report_incidents_by_establishment',
    columns: 'establishment, type, num_of_incidents',
    source: 'SELECT location, family, count(*) FROM counted GROUP BY 1, 2',
  },
  {
    report: `report_incidents_by_establishment_between(DATE '2024-01-01', DATE '2025-12-31')`,
    columns: 'establishment, type, num_of_incidents',
    source: `SELECT location, family, count(*) FROM counted
             WHERE at >= '2024-01-01' AND at < '2026-01-01' GROUP BY 1, 2`,
  },
  {
    report: 'report_incidents_by_type_and_month',
    columns: 'year, type, jan, jul, dec, total',
    source: `SELECT date_part('year', at), family, count(*) FILTER (WHERE date_part('month', at) = 1),
               count(*) FILTER (WHERE date_part('month', at) = 7), count(*) FILTER (WHERE date_part('month', at) = 12), count(*)
             FROM counted GROUP BY 1, 2`,
  },
  {
    report: 'report_incidents_by_type_and_establishment',
    source: 'SELECT family, location, count(*) FROM counted GROUP BY CUBE (family, location)',
  },
  {
    report: 'report_status_tracker',
    columns: 'location, incident_code, status_code, total',
    source: `SELECT location, family, status, count(*) FROM reports WHERE status NOT IN ('DUPLICATE', 'NOT_REPORTABLE')
             GROUP BY GROUPING SETS ((location, family, status), (location, family), (location, status), (location), (family), (status))`,
  },
  {
    report: 'report_prisoner_summary',
    number: 0,
    source: `SELECT number, ${['ASSAULT', 'SELF_HARM', 'FIND', 'DISORDER', 'DRUGS', 'MISCELLANEOUS'].map((family) => `count(*) FILTER (WHERE regexp_replace(type, '_[0-9]+$', '') = '${family}')`).join(', ')}, count(*)
             FROM r JOIN prisoners USING (ref) WHERE number IS NOT NULL AND status NOT IN ('DUPLICATE', 'NOT_REPORTABLE', 'DRAFT') GROUP BY number`,
  },
  {
    report: 'report_prisoner_incidents_per_month',
    number: 3,
    source: `SELECT ${MONTH}, min(at)::date::text, max(at)::date::text, number, family, location, count(DISTINCT ref)
             FROM counted JOIN prisoners USING (ref) WHERE number IS NOT NULL GROUP BY ${MONTH}, number, family, location`,
  },
  {
    report: 'report_serious_assault_detail',
    columns: 'report_reference, status, location, sexual, prisoner, prisoner_role',
    number: 4,
    source:
      'SELECT ref, status, location, sexual, number, role FROM counted JOIN serious USING (ref) JOIN prisoners USING (ref)',
  },
  {
    report: 'report_serious_assaults_per_month',
    source: `SELECT ${MONTH}, location, count(DISTINCT ref), count(DISTINCT ref) FILTER (WHERE sexual)
             FROM counted JOIN serious USING (ref) JOIN prisoners USING (ref) GROUP BY 1, 2`,
  },
  {
    report: 'report_assaults',
    columns: 'report_reference, subtype, serious',
    source: `SELECT ref, subtype, EXISTS (SELECT FROM serious s WHERE s.ref = a.ref) FROM assaults a`,
  },
  {
    report: 'report_assault_subtypes_per_month',
    source: `SELECT ${MONTH}, location, subtype, count(*) FROM assaults GROUP BY 1, 2, 3`,
  },
  {
    report: 'report_performance_hub_assaults',
    columns:
      'prisoner, incident_type, establishment, incident_hour, incident_minutes, incident_case_id, participation_role',
    number: 0,
    source: `SELECT number, type, location, date_part('hour', at), date_part('minute', at), ref, role
             FROM assaults JOIN prisoners USING (ref) WHERE number IS NOT NULL`,
  },
  {
    report: 'report_self_harm',
    columns: 'report_reference, prisoner, category',
    number: 1,
    source: `SELECT ref, number, CASE WHEN EXISTS (SELECT FROM answers a WHERE a.ref = c.ref
               AND question = 'DID SELF HARM METHOD INVOLVE CUTTING' AND answer = 'YES') THEN 'Cutting' ELSE 'Unknown' END
             FROM counted c JOIN prisoners USING (ref) WHERE type = 'SELF_HARM_1' AND role = 'PERPETRATOR'`,
  },
  {
    report: 'report_self_harm_by_method',
    columns: 'method, sum(num_of_incidents)::BIGINT',
    source: `SELECT CASE WHEN EXISTS (SELECT FROM answers a WHERE a.ref = c.ref
               AND question = 'DID SELF HARM METHOD INVOLVE CUTTING' AND answer = 'YES') THEN 'Cutting' ELSE 'Unknown' END, count(DISTINCT ref)
             FROM counted c JOIN prisoners USING (ref) WHERE type = 'SELF_HARM_1' AND role = 'PERPETRATOR' GROUP BY 1`,
  },
  {
    report: 'report_finds',
    columns: 'report_reference, location, find_category',
    source: 'SELECT ref, location, category FROM finds',
  },
  {
    report: `report_finds_by_category WHERE find_category IN ('Weapon', 'Alcohol / hooch / distilling equipment')`,
    columns: 'location, find_category, num_of_incidents, num_of_prisoners',
    source: `SELECT l.location, c.name, count(DISTINCT f.ref), count(DISTINCT p.number)
             FROM (SELECT DISTINCT location FROM finds) l
             CROSS JOIN (VALUES ('Weapon'), ('Alcohol / hooch / distilling equipment')) c (name)
             LEFT JOIN finds f ON f.location = l.location AND f.category = c.name LEFT JOIN prisoners p USING (ref) GROUP BY 1, 2`,
  },
  {
    report: `report_finds_by_drug WHERE drug IN ('Heroin', 'Steroids')`,
    columns: 'location, drug, num_of_incidents',
    source: `SELECT l.location, d.name, count(DISTINCT f.ref) FILTER (WHERE EXISTS (SELECT FROM answers a
               WHERE a.ref = f.ref AND question_code = '67190' AND answer_code = d.code))
             FROM (SELECT DISTINCT location FROM finds) l CROSS JOIN (VALUES ('Heroin', '218813'), ('Steroids', '218819')) d (name, code)
             LEFT JOIN finds f ON f.location = l.location GROUP BY 1, 2`,
  },
  ...(['3', '12'] as const).map((months) => ({
    report: months === '3' ? 'report_safety_in_custody_quarterly' : 'report_safety_in_custody_annual',
    columns: `quarter, self_harm_incidents, self_harm_outside_hospital, individuals_self_harming, assaults, serious_assaults,
      prisoner_on_prisoner, on_staff`,
    source: `SELECT quarter::text, count(*) FILTER (WHERE family = 'SELF_HARM'),
        count(*) FILTER (WHERE family = 'SELF_HARM' AND EXISTS (SELECT FROM prisoners p WHERE p.ref = c.ref AND outcome IN ('SEEN_OUTSIDE_HOSP', 'OUTH'))),
        (SELECT count(DISTINCT number) FROM counted e JOIN prisoners p USING (ref) WHERE family = 'SELF_HARM' AND role = 'PERPETRATOR'
          AND e.at < quarter + interval '3 months' AND e.at >= quarter + interval '3 months' - interval '${months} months'),
        count(*) FILTER (WHERE family = 'ASSAULT'),
        count(*) FILTER (WHERE EXISTS (SELECT FROM serious s WHERE s.ref = c.ref)),
        count(*) FILTER (WHERE (SELECT subtype FROM assaults a WHERE a.ref = c.ref) LIKE '%PoP%'),
        count(*) FILTER (WHERE (SELECT subtype FROM assaults a WHERE a.ref = c.ref) LIKE '%PoS%')
      FROM (SELECT DISTINCT date_trunc('quarter', at)::date AS quarter FROM counted WHERE family IN ('SELF_HARM', 'ASSAULT')) q
      JOIN counted c ON c.at < quarter + interval '3 months' AND c.at >= quarter + interval '3 months' - interval '${months} months'
      WHERE family IN ('SELF_HARM', 'ASSAULT') GROUP BY quarter`,
  })),
  {
    report: 'report_safety_in_custody_by_location',
    columns: 'month, location, self_harm_incidents, assaults, serious_assaults, on_staff',
    source: `SELECT ${MONTH}, location, count(*) FILTER (WHERE family = 'SELF_HARM'), count(*) FILTER (WHERE family = 'ASSAULT'),
        count(*) FILTER (WHERE EXISTS (SELECT FROM serious s WHERE s.ref = c.ref)),
        count(*) FILTER (WHERE (SELECT subtype FROM assaults a WHERE a.ref = c.ref) LIKE '%PoS%')
      FROM counted c WHERE family IN ('SELF_HARM', 'ASSAULT') GROUP BY 1, 2`,
  },
]

/** The workload's question sets are its own: some of its questions become those that the definitions name. */
const REAL_QUESTIONS = [
  `UPDATE public.question SET code = '61288' WHERE question = 'WAS A MEMBER OF STAFF ASSAULTED' AND id % 2 = 0`,
  `UPDATE public.question SET code = '61287' WHERE question = 'WAS A MEMBER OF STAFF ASSAULTED' AND id % 2 = 1`,
  `UPDATE public.response a SET code = CASE q.code WHEN '61288' THEN '213120' ELSE '213115' END
   FROM public.question q WHERE q.id = a.question_id AND q.code IN ('61287', '61288')`,
  `UPDATE public.question SET question = 'DID SELF HARM METHOD INVOLVE CUTTING' WHERE question = 'WHAT METHOD OF SELF HARM WAS INVOLVED'`,
  `UPDATE public.response a SET response = CASE WHEN a.id % 2 = 0 THEN 'YES' ELSE 'NO' END
   FROM public.question q WHERE q.id = a.question_id AND q.question = 'DID SELF HARM METHOD INVOLVE CUTTING'`,
  `UPDATE public.question SET code = '67187' WHERE question = 'WHAT WAS FOUND'`,
  `UPDATE public.question SET code = '67190' WHERE question = 'HOW WAS THE ITEM HIDDEN'`,
  `UPDATE public.response a SET code = CASE q.code WHEN '67190' THEN CASE WHEN a.id % 2 = 0 THEN '218813' ELSE '218819' END
     ELSE CASE WHEN a.id % 2 = 0 THEN '218785' ELSE '218789' END END
   FROM public.question q WHERE q.id = a.question_id AND q.code IN ('67187', '67190')`,
  `UPDATE nomis.incident_case_responses a SET questionnaire_ans_id = 218789 FROM nomis.incident_case_questions q
   WHERE (q.incident_case_id, q.question_seq) = (a.incident_case_id, a.question_seq) AND q.question = 'WHAT WAS FOUND'`,
  `UPDATE nomis.incident_case_questions SET questionnaire_que_id = 67187 WHERE question = 'WHAT WAS FOUND'`,
  `UPDATE nomis.incident_case_questions SET question = NULL WHERE question = 'WAS THIS A SEXUAL ASSAULT'`,
]

let settled: Settled
let client: pg.Client

beforeAll(async () => {
  settled = await settledPipeline({ seed: 5, reports: 260, transactions: 20 })
  for (const statement of REAL_QUESTIONS) await settled.database.query(statement)
  await settled.run(5)
  client = new pg.Client({ connectionString: settled.database.url })
  await client.connect()
}, 180_000)

afterAll(async () => {
  await client.end()
  await settled.close()
})

const shown = (sql: string) => ask(settled.config.ANALYTICS_DIR!, sql)

function asText(value: unknown): string | null {
  return value === null ? null : String(value as string | number)
}

function sorted(rows: readonly (readonly unknown[])[]): string[] {
  return rows.map((row) => JSON.stringify(row)).sort()
}

test.each(CASES)(
  '$report has the rows that the definition gives on the source',
  async ({ report, columns = '*', source, number }) => {
    const { rows } = await client.query<unknown[]>({ text: `${SOURCE} ${source}`, rowMode: 'array' })
    const expected = rows.map((row) =>
      row.map((value, i) => {
        const text = asText(value)
        return i === number && text !== null ? pseudonym('a key for tests only', text) : text
      }),
    )
    expect(expected.length).toBeGreaterThan(0)
    const grouped = columns.includes('sum(') ? 'GROUP BY ALL' : ''
    expect(sorted(await shown(`SELECT ${columns} FROM ${report} ${grouped}`))).toEqual(sorted(expected))
  },
)

test('every report is compared with the source', () => {
  const compared = new Set(CASES.map(({ report }) => report.split(/[ (]/)[0]))
  expect(REPORTS.map(({ name }) => name).filter((name) => !compared.has(name))).toEqual([])
})

test('both models are in what is compared', async () => {
  for (const report of ['report_assaults', 'report_performance_hub_assaults']) {
    expect((await shown(`SELECT DISTINCT source FROM ${report} ORDER BY 1`)).flat()).toEqual(['DPS', 'NOMIS'])
  }
})

describe('what is published', () => {
  test.each(REPORTS.flatMap(({ name, published }) => (published === null ? [] : [{ name, published }])))(
    'of $name has no count of 5 or fewer, and every larger one',
    async ({ name, published: { counts, where = 'true' } }) => {
      const view = name.replace('report_', 'published_')
      for (const count of counts) {
        const kept = `FROM ${name} WHERE (${where})`
        expect(await shown(`SELECT count(*), count("${count}"), min("${count}") > 5 FROM ${view}`)).toEqual(
          await shown(
            `SELECT count(*), count(*) FILTER ("${count}" > 5), min("${count}") FILTER ("${count}" > 5) > 5 ${kept}`,
          ),
        )
      }
    },
  )
})

const COUNTS = /^(num_of_.*|total|assaults|prisoners|closed_reports)$/

describe('a question of the analysts', () => {
  test.each(ANALYST_QUESTIONS)('is answered, without a small number: $question', async ({ sql }) => {
    const rows = await shown(sql)
    expect(rows.length).toBeGreaterThan(0)
    const columns = (await shown(`SELECT column_name FROM (DESCRIBE ${sql})`)).flat()
    const counts = columns.flatMap((name, i) => (COUNTS.test(name!) ? [i] : []))
    const rates = columns.filter((name) => name!.endsWith('_per_1000'))
    expect(counts.length + rates.length).toBeGreaterThan(0)
    const small = rows.flatMap((row) => counts.map((i) => row[i])).filter((n) => n !== null && Number(n) <= 5)
    expect(small).toEqual([])
  })

  test('stands in docs/analysts.md as it is asked here', () => {
    const page = readFileSync(new URL('../../docs/analysts.md', import.meta.url), 'utf8')
    const shownThere = [...page.matchAll(/^### (.*)\n\n```sql\n([\s\S]*?)\n```$/gm)].map(([, question, sql]) => ({
      question,
      sql,
    }))
    expect(shownThere).toEqual(ANALYST_QUESTIONS.map(({ question, sql }) => ({ question, sql })))
  })
})

test('status and metrics say how old the copy is, and it follows the source', async () => {
  const before = Date.now()
  await settled.run(1)
  const { transport, raw } = settled.runtime
  const status = await readStatus({
    databaseUrl: undefined,
    slot: settled.config.NAMESPACE,
    transport,
    registry: settled.runtime.registry,
    raw,
    deadLetters: await transport.topic(topics(settled.config.NAMESPACE).deadLetters),
    groups: new Map(),
    analyticsDirectory: settled.config.ANALYTICS_DIR!,
  })
  expect(Date.parse(status.publishedCopy!.at)).toBeGreaterThanOrEqual(before)
  expect(Date.parse(status.publishedCopy!.wholeTo!)).toBeGreaterThan(before - 10_000)
  const [, seconds] = /^incidents_analytics_published_timestamp_seconds (\S+)$/m.exec(
    await settled.runtime.metrics.registry.metrics(),
  )!
  expect(Number(seconds) * 1000).toBeGreaterThanOrEqual(before)
})

describe('the population that somebody provides', () => {
  test('makes rates where it has the location and month, and nothing else does', async () => {
    const rates = 'SELECT count(self_harm_per_1000), count(assaults_per_1000) FROM report_safety_in_custody_by_location'
    expect(await shown(rates)).toEqual([['0', '0']])
    const [[location, month, assaults] = []] = await shown(
      'SELECT location, month, assaults FROM report_safety_in_custody_by_location WHERE assaults > 0 ORDER BY month DESC LIMIT 1',
    )
    const path = join(settled.config.ANALYTICS_DIR!, POPULATION_FILE)
    writeFileSync(path, `location,month,average_population\n${location},${month},500\nMDI,not a month,3\n`)
    await settled.run(1)
    expect(await shown('SELECT * FROM population')).toEqual([[location, month, '500']])
    const [[rate] = []] = await shown(
      `SELECT assaults_per_1000 FROM report_safety_in_custody_by_location WHERE (location, month) = ('${location}', DATE '${month}')`,
    )
    expect(Number(rate)).toBeCloseTo((Number(assaults) * 1000) / 500)
    expect(await shown('SELECT count(assaults_per_1000) FROM report_safety_in_custody_by_location')).toEqual([['1']])
  })

  test('that cannot be read stops nothing, and the copy says so', async () => {
    writeFileSync(join(settled.config.ANALYTICS_DIR!, POPULATION_FILE), 'where,when\nMDI,2024\n')
    await settled.run(1)
    const said = await shown(`SELECT why FROM report_gaps WHERE missing = '${POPULATION_FILE}'`)
    expect(said).toEqual([['It could not be read: it needs the columns location, month and average_population.']])
    expect(await shown('SELECT * FROM population')).toEqual([])
  })
})
