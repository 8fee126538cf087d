/** A unified field's cell is the same in JavaScript, PostgreSQL and DuckDB. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Field } from '../../core/incident.ts'
import { duckFieldCell, fieldCell, postgresFieldCell } from '../../proof/canonical.ts'
import type { EntityField, FieldType } from '../../schemas/entity.ts'
import { onDuckDb } from '../../sinks/duckdb.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const TYPES: Readonly<Record<FieldType, readonly [postgres: string, duck: string]>> = {
  uuid: ['uuid', 'VARCHAR'],
  string: ['text', 'VARCHAR'],
  int: ['int', 'INTEGER'],
  long: ['bigint', 'BIGINT'],
  boolean: ['boolean', 'BOOLEAN'],
  date: ['date', 'DATE'],
  timestamp: ['timestamptz', 'TIMESTAMPTZ'],
  localTimestamp: ['timestamp', 'TIMESTAMP'],
}

const CASES: readonly (readonly [FieldType, readonly Field[]])[] = [
  ['uuid', [null, '019012ab-7c4d-7e5f-8a9b-0c1d2e3f4a5b']],
  ['string', [null, '', ' ', 'naïve 🚨', 'a\tb\nc', 'true']],
  ['int', [null, 0, -1, 2_147_483_647, -2_147_483_648]],
  ['long', [null, 0, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]],
  ['boolean', [null, true, false]],
  ['date', [null, '1970-01-01', '1969-12-31', '0001-01-01', '2024-02-29', '9999-12-31']],
  ['timestamp', [null, '1970-01-01T00:00:00.000000Z', '2024-03-31T01:30:00.123456Z', '1969-12-31T23:59:59.999999Z']],
  ['timestamp', ['0001-01-01T00:00:00.000001Z', '9999-12-31T23:59:59.999999Z', '2255-06-05T23:47:34.740993Z']],
  ['localTimestamp', [null, '2024-03-31T01:30:00.100000', '0001-01-01T00:00:00.000000', '9999-12-31T23:59:59.999999']],
]

const fieldOf = (type: FieldType): EntityField => ({
  name: 'field',
  column: 'field',
  type,
  nullable: true,
  kind: 'code',
  doc: '',
})

async function inPostgres(type: FieldType, texts: readonly (string | null)[]): Promise<unknown[]> {
  const rows = await database.query<{ cell: string | null }>(
    `SELECT ${postgresFieldCell(fieldOf(type))} AS cell
     FROM (SELECT value::${TYPES[type][0]} AS field, i FROM unnest($1::text[]) WITH ORDINALITY AS t (value, i)) t ORDER BY i`,
    [texts],
  )
  return rows.map(({ cell }) => cell)
}

async function inDuckDb(connection: DuckDBConnection, type: FieldType, texts: readonly (string | null)[]) {
  const list = texts.map((each) => (each === null ? 'NULL' : `'${each}'`)).join(', ')
  await connection.run("SET TimeZone = 'UTC'")
  const found = await connection.runAndReadAll(
    `SELECT ${duckFieldCell(fieldOf(type))}
     FROM (SELECT CAST(value AS ${TYPES[type][1]}) AS field FROM (SELECT unnest([${list}]) AS value))`,
  )
  return found.getRows().map(([cell]) => cell)
}

test.each(CASES)('%s %j', async (type, values) => {
  const texts = values.map((value) => (value === null ? null : String(value)))
  const expected = values.map((value) => fieldCell(value, type))
  expect(await inPostgres(type, texts)).toEqual(expected)
  expect(await onDuckDb(':memory:', {}, (connection) => inDuckDb(connection, type, texts))).toEqual(expected)
})

test.each(['date', 'timestamp', 'localTimestamp'] as const)(
  'an infinity in a %s is a cell of its own',
  async (type) => {
    const infinities = ['infinity', '-infinity']
    for (const cells of [
      await inPostgres(type, infinities),
      await onDuckDb(':memory:', {}, (connection) => inDuckDb(connection, type, infinities)),
    ]) {
      expect(new Set(cells).size).toBe(2)
      for (const cell of cells) expect(cell).toMatch(/^-?infinity$/i)
    }
  },
)
