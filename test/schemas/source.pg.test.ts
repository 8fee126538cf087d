import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ROUTES } from '../../connectors/postgres/routes.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { SOURCE_TABLES } from '../../connectors/postgres/source-tables.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'

/** The service's tables as its own migrations leave them: `!` is NOT NULL, `=` a default. */
const DPS: Readonly<Record<string, string>> = {
  report: `id uuid!, report_reference varchar(25)!, title text!, description text!, location varchar(20)!, type varchar(60)!,
    source varchar(5)!=, status varchar(60)!, incident_date_and_time timestamp!, reported_at timestamp!,
    reported_by varchar(120)!, question_set_id varchar(20), created_at timestamp!, modified_by varchar(120)!,
    modified_at timestamp!=, modified_in varchar(5)!=, staff_involvement_done boolean=, prisoner_involvement_done boolean=,
    duplicated_report_id uuid, last_user_action varchar(60)`,
  status_history: `id integer!=, report_id uuid!, status varchar(60)!, changed_at timestamp!=, changed_by varchar(120)!`,
  correction_request: `id integer!=, report_id uuid!, description_of_change text!, correction_requested_at timestamp!,
    correction_requested_by varchar(120)!, sequence integer!=, location varchar(20), user_action varchar(60),
    original_report_reference varchar(25), user_type varchar(60)`,
  prisoner_involvement: `id integer!=, report_id uuid!, prisoner_number varchar(7)!, prisoner_role varchar(60)!,
    outcome varchar(60), comment text, sequence integer!=, first_name varchar(255)!, last_name varchar(255)!`,
  staff_involvement: `id integer!=, report_id uuid!, staff_username varchar(120), staff_role varchar(60)!, comment text,
    sequence integer!=, first_name varchar(255)!, last_name varchar(255)!`,
  description_addendum: `id integer!=, report_id uuid!, sequence integer!, text text!, created_at timestamp!,
    created_by varchar(120)!, first_name varchar(255)!, last_name varchar(255)!`,
  question: `id integer!=, report_id uuid!, sequence integer!=, code varchar(60)!, question text!,
    additional_information text, label text!`,
  history: `id integer!=, report_id uuid!, type varchar(60)!, changed_at timestamp!, changed_by varchar(120)!`,
  response: `id integer!=, question_id integer!, sequence integer!=, response text!, response_date date,
    additional_information text, recorded_at timestamp!=, recorded_by varchar(120)!, code varchar(60)!, label text!`,
  historical_question: `id integer!=, history_id integer!, sequence integer!=, code varchar(60)!, question text!,
    additional_information text, label text!`,
  historical_response: `id integer!=, historical_question_id integer!, sequence integer!=, response text!,
    response_date date, additional_information text, recorded_at timestamp!=, recorded_by varchar(120)!,
    code varchar(60)!, label text!`,
  constant_type: `code varchar(60)!, sequence integer!, description varchar(255)!, active boolean=,
    family_code varchar(60)!`,
  constant_type_family: `code varchar(60)!, sequence integer!, description varchar(255)!`,
  constant_status: `code varchar(60)!, sequence integer!, description varchar(60)!, ignore_downstream boolean!=,
    definition varchar(255)!`,
  constant_prisoner_role: `code varchar(60)!, sequence integer!, description varchar(60)!`,
  constant_prisoner_outcome: `code varchar(60)!, sequence integer!, description varchar(60)!`,
  constant_staff_role: `code varchar(60)!, sequence integer!, description varchar(60)!`,
  constant_user_action: `code varchar(60)!, sequence integer!, description varchar(60)!`,
  constant_user_type: `code varchar(60)!, sequence integer!, description varchar(60)!`,
  analytical_marker: `response_code varchar(60)!, marker_type varchar(60)!`,
}

/**
 * Columns of the legacy tables beside the audit columns, which all have (rule nomis.tables), and their primary keys.
 */
const NOMIS: Readonly<Record<string, { columns: string; key: string }>> = {
  incident_cases: {
    columns: `incident_case_id bigint, reported_staff_id bigint, incident_date timestamp(0), incident_time timestamp(0),
      incident_status varchar(12), response_locked_flag varchar(1), incident_details varchar(4000),
      report_date timestamp(0), report_time timestamp(0), agy_loc_id varchar(6), incident_title varchar(240),
      incident_type varchar(12), questionnaire_id bigint, follow_up_date timestamp(0) | staff_username varchar(120)`,
    key: 'incident_case_id',
  },
  incident_case_parties: {
    columns: `incident_case_id bigint, party_seq integer, participation_role varchar(12), offender_book_id bigint,
      staff_id bigint, person_id bigint, comment_text varchar(240), outcome_code varchar(12), record_staff_id bigint |
      offender_no varchar(10), staff_username varchar(120), first_name varchar(255), last_name varchar(255)`,
    key: 'incident_case_id, party_seq',
  },
  incident_case_questions: {
    columns: `incident_case_id bigint, question_seq integer, questionnaire_que_id bigint | question text`,
    key: 'incident_case_id, question_seq',
  },
  incident_case_responses: {
    columns: `incident_case_id bigint, question_seq integer, response_seq integer, response_date timestamp(0),
      response_comment_text varchar(240), record_staff_id bigint, questionnaire_ans_id bigint |
      answer text, recorded_by varchar(120)`,
    key: 'incident_case_id, question_seq, response_seq',
  },
  incident_case_requirements: {
    columns: `incident_case_id bigint, requirement_seq integer, record_staff_id bigint, record_date timestamp(0),
      comment_text varchar(240), agy_loc_id varchar(6) | recorded_by varchar(120)`,
    key: 'incident_case_id, requirement_seq',
  },
  incident_questionnaire_hty: {
    columns: `incident_questionnaire_id bigint, incident_case_id bigint, questionnaire_id bigint,
      change_date timestamp(0), change_staff_id bigint | type varchar(12), staff_username varchar(120)`,
    key: 'incident_questionnaire_id',
  },
  incident_que_question_hty: {
    columns: `incident_questionnaire_id bigint, question_seq integer, questionnaire_que_id bigint | question text`,
    key: 'incident_questionnaire_id, question_seq',
  },
  incident_que_response_hty: {
    columns: `incident_questionnaire_id bigint, question_seq integer, response_seq integer, response_date timestamp(0),
      response_comment_text varchar(240), record_staff_id bigint, questionnaire_ans_id bigint |
      answer text, recorded_by varchar(120)`,
    key: 'incident_questionnaire_id, question_seq, response_seq',
  },
}
const AUDIT = `create_datetime timestamp(6), create_user_id varchar(32), modify_datetime timestamp(6),
  modify_user_id varchar(32), audit_timestamp timestamp(6), audit_user_id varchar(32), audit_module_name varchar(65),
  audit_client_user_id varchar(64), audit_client_ip_address varchar(39), audit_client_workstation_name varchar(64),
  audit_additional_info varchar(256)`

interface FoundColumn {
  table_schema: string
  table_name: string
  column_name: string
  type: string
  required: boolean
  defaulted: boolean
}

let database: TestDatabase
let columns: FoundColumn[]

beforeAll(async () => {
  database = await testDatabase()
  await initSource(database.url, { publication: 'incidents' })
  columns = await database.query<FoundColumn>(`
    SELECT table_schema, table_name, column_name, is_nullable = 'NO' AS required, column_default IS NOT NULL AS defaulted,
           CASE data_type WHEN 'character varying' THEN 'varchar(' || character_maximum_length || ')'
                          WHEN 'timestamp without time zone' THEN
                            CASE WHEN table_schema = 'nomis' THEN 'timestamp(' || datetime_precision || ')' ELSE 'timestamp' END
                          ELSE data_type END AS type
      FROM information_schema.columns WHERE table_schema IN ('public', 'nomis')
     ORDER BY table_schema, table_name, ordinal_position`)
})
afterAll(() => database.drop())

test('the schema public holds exactly the 20 tables and 129 columns of the service (rule dps.tables)', () => {
  const found = columns.filter((column) => column.table_schema === 'public')
  expect(new Set(found.map((column) => column.table_name)).size).toBe(20)
  expect(found.length).toBe(129)
})

test.each(Object.entries(DPS))(
  'public.%s has its columns in order, with types, nullability and defaults',
  (table, text) => {
    expect(described('public', table)).toEqual(split(text))
  },
)

test.each(Object.entries(NOMIS))(
  'nomis.%s has its own columns, the audit columns, then the payload’s',
  (table, { columns: text }) => {
    const [own = '', payload = ''] = text.split('|')
    const bare = described('nomis', table).map((column) => column.replace(/[!=]+$/, ''))
    expect(bare).toEqual([...split(own), ...split(AUDIT), ...split(payload)])
  },
)

test.each(Object.entries(NOMIS))('nomis.%s has its primary key', (table, { key }) => {
  expect(SOURCE_TABLES.find((each) => each.schema === 'nomis' && each.name === table)?.key.join(', ')).toBe(key)
})

test('what is read from the scripts is what PostgreSQL made of them', async () => {
  const made = await database.query<{ name: string; columns: string[]; key: string[] }>(`
    SELECT n.nspname || '.' || c.relname AS name,
           array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) AS columns,
           (SELECT array_agg(column_name::text ORDER BY ordinal_position) FROM information_schema.key_column_usage k
              JOIN information_schema.table_constraints t USING (constraint_schema, constraint_name)
             WHERE t.constraint_type = 'PRIMARY KEY' AND k.table_schema = n.nspname AND k.table_name = c.relname) AS key
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relkind = 'r' AND n.nspname IN ('public', 'nomis') AND a.attnum > 0 GROUP BY c.oid, n.nspname`)
  const read = SOURCE_TABLES.map((table) => ({
    name: `${table.schema}.${table.name}`,
    columns: table.columns.map((column) => `${column.name} ${column.type}`),
    key: table.key,
  }))
  const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1)
  expect(read.toSorted(byName)).toEqual(made.toSorted(byName))
})

test('the constant tables hold the codes of the service (rule dps.constants)', async () => {
  const counts = await Promise.all(
    Object.keys(DPS)
      .filter((table) => table.startsWith('constant_'))
      .map(async (table) => [
        table,
        Number((await database.query(`SELECT count(*) FROM public.${table}`))[0]!['count']),
      ]),
  )
  expect(Object.fromEntries(counts)).toEqual({
    constant_type: 60,
    constant_type_family: 41,
    constant_status: 10,
    constant_prisoner_role: 19,
    constant_prisoner_outcome: 17,
    constant_staff_role: 17,
    constant_user_action: 9,
    constant_user_type: 2,
  })
  const orphans = await database.query(
    `SELECT t.code FROM public.constant_type t LEFT JOIN public.constant_type_family f ON f.code = t.family_code WHERE f.code IS NULL`,
  )
  expect(orphans).toEqual([])
  const ignored = await database.query<{ code: string }>(
    `SELECT code FROM public.constant_status WHERE ignore_downstream ORDER BY code`,
  )
  expect(ignored.map((row) => row.code)).toEqual(['DUPLICATE', 'NOT_REPORTABLE', 'REOPENED', 'WAS_CLOSED'])
})

test('references of the service begin at ten million (rule dps.reference)', async () => {
  expect(await database.query(`SELECT nextval('public.report_sequence')::text AS next`)).toEqual([{ next: '10000000' }])
})

test('a row reaches its report along the foreign keys of the service, and no other way (rule dps.parents)', async () => {
  const keys = await database.query(`
    SELECT k.conrelid::regclass::text AS child, a.attname AS via, k.confrelid::regclass::text AS parent
      FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
     WHERE k.contype = 'f' AND k.confdeltype = 'c' AND k.connamespace = 'public'::regnamespace ORDER BY child`)
  const routes = [...ROUTES].flatMap(([table, { via, parent }]) =>
    table.startsWith('public.') && via !== undefined ? [{ child: table.slice(7), via, parent: parent!.slice(7) }] : [],
  )
  expect(keys).toEqual(routes.toSorted((a, b) => (a.child < b.child ? -1 : 1)))
})

test('deleting a report takes its children along and unlinks its duplicates (rule dps.delete)', async () => {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  try {
    await client.query(`
      INSERT INTO report (id, report_reference, title, description, location, type, status, incident_date_and_time,
                          reported_at, reported_by, created_at, modified_by, duplicated_report_id)
      SELECT id::uuid, reference, 't', 'd', 'MDI', 'FIRE_1', 'DRAFT', '2024-01-01', '2024-01-01', 'u', '2024-01-01', 'u', original::uuid
        FROM (VALUES ('00000000-0000-7000-8000-000000000001', '1', NULL),
                     ('00000000-0000-7000-8000-000000000002', '2', '00000000-0000-7000-8000-000000000001')) v (id, reference, original);
      WITH h AS (INSERT INTO history (report_id, type, changed_at, changed_by)
                 VALUES ('00000000-0000-7000-8000-000000000001', 'BOMB_1', '2024-01-01', 'u') RETURNING id),
           q AS (INSERT INTO historical_question (history_id, code, question, label) SELECT id, '1', 'q', 'q' FROM h RETURNING id)
      INSERT INTO historical_response (historical_question_id, response, recorded_by, code, label)
      SELECT id, 'YES', 'u', '1', 'Yes' FROM q`)
    await client.query(`DELETE FROM report WHERE report_reference = '1'`)
    const { rows } = await client.query(
      `SELECT (SELECT count(*)::int FROM historical_response) AS left, (SELECT duplicated_report_id FROM report) AS original`,
    )
    expect(rows).toEqual([{ left: 0, original: null }])
  } finally {
    await client.end()
  }
})

function described(schema: string, table: string): string[] {
  return columns
    .filter((column) => column.table_schema === schema && column.table_name === table)
    .map((column) => `${column.column_name} ${column.type}${column.required ? '!' : ''}${column.defaulted ? '=' : ''}`)
}

function split(text: string): string[] {
  return text.split(',').map((column) => column.trim())
}
