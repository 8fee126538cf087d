/** The lock on analysts' SQL: what it lets through, and everything that it does not (T9). */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { queries, QUERY_LIMITS, type Queries } from '../../console/query.ts'

let directory: string
let file: string
let ask: Queries

const SECRET = 'a secret that lies beside the copy'

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'incidents-query-test-'))
  file = join(directory, 'incidents.duckdb')
  writeFileSync(join(directory, 'secret.csv'), SECRET)
  const instance = await DuckDBInstance.create(file)
  const connection = await instance.connect()
  const [named, other] = ['named', 'other'].map((name) => join(directory, `${name}.parquet`))
  await connection.run(`
    COPY (SELECT 'MDI' AS location, 'x' AS who) TO '${named}';
    COPY (SELECT '${SECRET}' AS s) TO '${other}';
    CREATE TABLE recent AS SELECT 'LEI' AS location, 'y' AS who FROM range(7);
    CREATE VIEW current_report AS SELECT * FROM recent UNION ALL SELECT * FROM read_parquet(['${named}']);
    CREATE MACRO report_as_of(moment) AS TABLE SELECT * FROM current_report;
    CREATE TABLE publication AS SELECT TIMESTAMPTZ '2026-01-02 03:04:05+00' AS published_at, 1 AS layout;
    CREATE TABLE dictionary AS SELECT 'report' AS entity`)
  connection.closeSync()
  instance.closeSync()
  ask = queries(file)
})

afterAll(() => rmSync(directory, { recursive: true, force: true }))

async function refusal(sql: string, of: Queries = ask): Promise<string> {
  const outcome = await of.table(sql)
  return 'refused' in outcome ? outcome.refused : `answered ${JSON.stringify(outcome.answer.rows).slice(0, 200)}`
}

describe('what an analyst asks', () => {
  test('a SELECT over the views answers with what their files hold, and when they were published', async () => {
    expect(await ask.table('SELECT location, who FROM current_report ORDER BY 1 DESC, 2 LIMIT 1')).toEqual({
      answer: {
        columns: ['location', 'who'],
        rows: [['MDI', 'x']],
        cut: false,
        suppressed: false,
        publishedAt: '2026-01-02T03:04:05Z',
      },
    })
  })

  test('counts of 5 and fewer are withheld, in whatever they are wrapped', async () => {
    const rows = async (sql: string) => {
      const outcome = await ask.table(sql)
      return 'answer' in outcome ? outcome.answer.rows : outcome.refused
    }
    const counted = 'SELECT location, count(*) AS n FROM current_report GROUP BY 1'
    const withheld = [
      ['LEI', '7'],
      ['MDI', '5 or fewer'],
    ]
    expect(await rows(`${counted} ORDER BY 1`)).toEqual(withheld)
    expect(await rows(`SELECT * FROM (${counted}) ORDER BY 1`)).toEqual(withheld)
    expect(await rows(`WITH c AS (${counted}) SELECT location, n + 0 FROM c ORDER BY 1`)).toEqual(withheld)
  })

  test.for([
    'SHOW TABLES',
    'DESCRIBE current_report',
    `FROM report_as_of(TIMESTAMP '2026-01-01')`,
    'SELECT * FROM range(3)',
    'VALUES (1), (2)',
    'SELECT unnest([1, 2])',
  ])('%s is answered', async (sql) => {
    expect(await ask.table(sql)).toHaveProperty('answer')
  })

  test('parquet holds what the table does, its small counts as NULL', async () => {
    const outcome = await ask.parquet('SELECT location, count(*) AS n FROM current_report GROUP BY 1 ORDER BY 1')
    expect(outcome).toHaveProperty('answer')
    const path = join(directory, 'taken.parquet')
    writeFileSync(path, (outcome as { answer: Buffer }).answer)
    const connection = await (await DuckDBInstance.create(':memory:')).connect()
    const read = await connection.runAndReadAll(`SELECT location, n, typeof(n) FROM '${path}'`)
    expect(read.getRows()).toEqual([
      ['LEI', 7n, 'BIGINT'],
      ['MDI', null, 'BIGINT'],
    ])
  })
})

describe('what is refused', () => {
  test.for([
    // files
    `SELECT * FROM read_csv('{dir}/secret.csv')`,
    `SELECT * FROM read_text('{dir}/secret.csv')`,
    `SELECT * FROM read_blob('{dir}/incidents.duckdb')`,
    `SELECT content FROM read_text('/etc/passwd')`,
    `SELECT * FROM read_parquet('{dir}/other.parquet')`,
    `SELECT * FROM read_json_auto('{dir}/secret.csv')`,
    `SELECT * FROM '{dir}/secret.csv'`,
    `SELECT * FROM '{dir}/other.parquet'`,
    `SELECT * FROM "{dir}/other.parquet"`,
    `SELECT * FROM glob('{dir}/*')`,
    `SELECT * FROM sniff_csv('{dir}/secret.csv')`,
    `SELECT * FROM parquet_metadata('{dir}/named.parquet')`,
    `SELECT * FROM parquet_scan('{dir}/named.parquet')`,
    `SELECT (SELECT content FROM read_text('/etc/passwd'))`,
    `WITH x AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM x`,
    `SELECT * FROM recent WHERE who IN (SELECT content FROM read_text('/etc/passwd'))`,
    `SELECT * FROM recent UNION ALL SELECT content, '' FROM read_text('/etc/passwd')`,
    `SELECT * FROM recent, LATERAL (SELECT * FROM read_text('/etc/passwd'))`,
    `DESCRIBE SELECT * FROM read_csv('{dir}/secret.csv')`,
    `SUMMARIZE SELECT * FROM read_csv('{dir}/secret.csv')`,
    // the network
    `SELECT * FROM read_csv('http://169.254.169.254/latest/meta-data')`,
    `SELECT * FROM 'https://example.org/x.parquet'`,
    `SELECT * FROM 's3://bucket/x.parquet'`,
    // writing
    `COPY recent TO '{dir}/stolen.csv'`,
    `COPY (SELECT 1) TO '{dir}/named.parquet'`,
    `COPY recent FROM '{dir}/secret.csv'`,
    `EXPORT DATABASE '{dir}/stolen'`,
    `IMPORT DATABASE '{dir}'`,
    `CREATE TABLE t AS SELECT 1`,
    `CREATE TEMP TABLE t AS SELECT 1`,
    `CREATE VIEW v AS SELECT 1`,
    `CREATE MACRO m() AS 1`,
    `CREATE SECRET s (TYPE s3)`,
    `CREATE OR REPLACE TEMP MACRO report_as_of(x) AS TABLE SELECT * FROM read_text('/etc/passwd')`,
    `INSERT INTO recent VALUES ('a', 'b')`,
    `UPDATE recent SET who = ''`,
    `DELETE FROM recent`,
    `DROP TABLE recent`,
    `ALTER TABLE recent ADD COLUMN z INT`,
    `TRUNCATE recent`,
    `MERGE INTO recent USING recent r ON false WHEN NOT MATCHED THEN INSERT VALUES ('a', 'b')`,
    // other databases and extensions
    `ATTACH '{dir}/other.duckdb'`,
    `DETACH incidents`,
    `USE memory`,
    `INSTALL httpfs`,
    `LOAD httpfs`,
    `SELECT * FROM postgres_scan('host=localhost', 'public', 'report')`,
    `SELECT * FROM sqlite_scan('{dir}/x', 'y')`,
    `SELECT * FROM system.main.sqlite_master`,
    // settings, environment, catalogues
    `SET memory_limit = '100GB'`,
    `RESET memory_limit`,
    `SET enable_external_access = true`,
    `PRAGMA enable_profiling`,
    `PRAGMA database_list`,
    `CALL pragma_version()`,
    `SELECT getenv('HOME')`,
    `SELECT current_setting('memory_limit')`,
    `SELECT * FROM duckdb_settings()`,
    `SELECT * FROM duckdb_secrets()`,
    `SELECT sql FROM duckdb_views()`,
    `SELECT sql FROM duckdb_views`,
    `SELECT * FROM pragma_database_list`,
    `SELECT * FROM pg_catalog.pg_settings`,
    `SELECT * FROM information_schema.tables`,
    `SHOW DATABASES`,
    // queries in texts
    `SELECT * FROM query('SELECT 1')`,
    `SELECT * FROM query_table('recent')`,
    `SELECT * FROM json_execute_serialized_sql('{}')`,
    `PREPARE p AS SELECT 1`,
    `EXECUTE p`,
    // several, none, and what cannot be read
    `SELECT 1; SELECT 2`,
    `SELECT 1; DROP TABLE recent`,
    `SELECT 1; COPY recent TO '{dir}/stolen.csv'`,
    `BEGIN`,
    `EXPLAIN ANALYZE SELECT 1`,
    `VACUUM`,
    `CHECKPOINT`,
    `;`,
    `not sql`,
    `SELECT '`,
    `SELECT * FROM nowhere`,
  ])('%s', async (sql) => {
    const said = await refusal(sql.replaceAll('{dir}', directory))
    expect(said).not.toMatch(/^answered/)
    expect(said).not.toContain(SECRET)
    expect(existsSync(join(directory, 'stolen.csv'))).toBe(false)
  })

  test('a query that never ends is ended, and the next one answers', async () => {
    const short = queries(file, { ...QUERY_LIMITS, timeoutMs: 2_500 })
    expect(await refusal('SELECT count(*) FROM range(100000) a, range(100000) b, range(100) c', short)).toMatch(
      /longer than/,
    )
    expect(await short.table('SELECT 1')).toHaveProperty('answer')
  })

  test('more memory than is given, and nothing is spilled to disk', async () => {
    const small = queries(file, { ...QUERY_LIMITS, memoryLimit: '32MB' })
    expect(
      await refusal('SELECT list(range) FROM (SELECT range, hash(range) FROM range(20000000) ORDER BY 2)', small),
    ).toMatch(/memory/i)
  })

  test('rows and bytes beyond the limit are cut, and said so', async () => {
    const few = queries(file, { ...QUERY_LIMITS, maxRows: 10 })
    expect(await few.table('SELECT * FROM range(1000000000)')).toMatchObject({
      answer: { cut: true, rows: { length: 10 } },
    })
    const thin = queries(file, { ...QUERY_LIMITS, maxBytes: 1_000 })
    expect(await thin.table(`SELECT repeat('x', 400) FROM range(100)`)).toMatchObject({ answer: { cut: true } })
  })

  test('more at once than are allowed, and a copy that is not there', async () => {
    const one = queries(file, { ...QUERY_LIMITS, atOnce: 1 })
    const [first, second] = await Promise.all([one.table('SELECT 1'), one.table('SELECT 2')])
    expect(first).toHaveProperty('answer')
    expect(second).toEqual({ refused: 'Other queries are running. Try again in a moment.' })
    expect(await refusal('SELECT 1', queries(join(directory, 'none.duckdb')))).toMatch(/published/)
  })
})
