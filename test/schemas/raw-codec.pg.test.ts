/**
 * What PostgreSQL can store, through capture and codec: by the snapshot and by the stream the same bytes, and out of
 * them the value that PostgreSQL prints.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect } from '../../connectors/postgres/session.ts'
import type { Row, RowChange, Value } from '../../core/change.ts'
import { lsnOf } from '../../core/position.ts'
import { runCapture, temporaryDirectory, type Captured } from '../support/capture.ts'
import { EXTENSIONS, OWN_TYPES, sampledTypes, type SampledType } from '../support/pg-samples.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`

let database: TestDatabase
let state: Awaited<ReturnType<typeof temporaryDirectory>>
let types: SampledType[]
let unsampled: string[]
/** What the server prints for each row, in the session that capture reads in. */
let printed: Record<string, string | null>[]
/** The column of type float4 as PostgreSQL's own doubles. */
let floats: readonly { readonly double: string | null }[]
let snapshot: Captured
let stream: Captured

beforeAll(async () => {
  database = await testDatabase()
  state = await temporaryDirectory()
  await database.query(OWN_TYPES)
  const available = await database.query<{ name: string }>(
    `SELECT name FROM pg_available_extensions WHERE name = ANY ($1)`,
    [EXTENSIONS],
  )
  for (const { name } of available) await database.query(`CREATE EXTENSION ${name}`)
  const found = await sampledTypes(database)
  types = found.sampled
  unsampled = found.without
  const columns = types.map(({ name }) => `${quote(name)} ${name === 'bpchar' ? 'char(5)' : quote(name)}`)
  await database.query(`CREATE TABLE every (id int PRIMARY KEY, ${columns.join(', ')})`)
  await database.query(`ALTER TABLE every REPLICA IDENTITY FULL`)
  await database.query(`CREATE TABLE copy (LIKE every)`)
  const rows = Math.max(...types.map(({ values }) => values.length))
  for (let row = 0; row <= rows; row++) {
    const values = types.map((type) => type.values[row] ?? 'NULL')
    await database.query(`INSERT INTO every VALUES (${row}, ${values.join(', ')})`)
  }
  await database.query(`CREATE PUBLICATION ${database.name} FOR TABLE every`)

  const run = { url: database.url, name: database.name, stateDirectory: state.path }
  snapshot = await runCapture({
    ...run,
    until: ({ changes }) => changes.some((change) => change.op === 'm' && change.snapshotDone),
  })
  const session = await connect(database.url)
  printed = (await session.query('SELECT * FROM every ORDER BY id')).rows
  floats = (await session.query('SELECT float4::float8 AS double FROM every ORDER BY id')).rows
  await session.end()
  await database.query('UPDATE every SET id = id')
  await database.query('INSERT INTO copy SELECT * FROM every')
  await database.query('DELETE FROM every')
  await database.query('INSERT INTO every SELECT * FROM copy')
  const [end] = await database.query<{ lsn: string }>(
    `SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text AS lsn`,
  )
  stream = await runCapture({
    ...run,
    before: snapshot.changes,
    until: ({ changes }) => changes.some((change) => change.op === 'm' && lsnOf(change.position) >= Number(end!.lsn)),
  })
})

afterAll(async () => {
  await database.drop()
  await state.remove()
})

interface Image {
  readonly id: number
  readonly from: string
  readonly row: Row
  /** The image in the envelope. */
  readonly hex: string
}

/** The images of a capture's rows. In the envelope they stand first, each behind the branch of its union. */
function images({ changes, bytes }: Captured): Image[] {
  return changes.flatMap((change, i) => (change.op === 'm' ? [] : imagesOf(change, bytes[i]!)))
}

/** What stands behind the images in every envelope: version, connector and name of Debezium's source. */
const SOURCE = Buffer.from('\x021\x14postgresql\x12incidents', 'latin1').toString('hex')

function imagesOf({ op, before, after }: RowChange, envelope: string): Image[] {
  const both = envelope.slice(0, envelope.lastIndexOf(SOURCE))
  const image = (row: Row, from: string, hex: string): Image => ({
    id: Number(row['id']),
    from: `${from} ${op}`,
    row,
    hex,
  })
  if (before === null) return [image(after!, 'after', both.slice(2))]
  if (after === null) return [image(before, 'before', both.slice(0, -2))]
  expect(both.length % 2).toBe(0)
  return [image(before, 'before', both.slice(0, both.length / 2)), image(after, 'after', both.slice(both.length / 2))]
}

describe('every type that a column can have', () => {
  test('has samples, or nobody can write a value of it', async () => {
    for (const name of unsampled) {
      const text = name.startsWith('_') ? '{""}' : ''
      await expect(database.query(`SELECT '${text}'::${quote(name)}`), name).rejects.toMatchObject({ code: '0A000' })
    }
    expect(types.length).toBeGreaterThan(150)
  })

  test('has the same bytes from the snapshot, from an insert, and on both sides of an update and a delete', () => {
    const all = [...images(snapshot), ...images(stream)]
    const froms = new Set(all.map(({ from }) => from))
    expect([...froms].toSorted()).toEqual(['after c', 'after r', 'after u', 'before d', 'before u'])
    const byId = Map.groupBy(all, ({ id }) => id)
    expect(byId.size).toBe(printed.length)
    for (const [id, its] of byId) {
      expect([id, its.length]).toEqual([id, 5])
      for (const image of its) expect(image.hex === its[0]!.hex, `row ${id}, ${image.from}`).toBe(true)
    }
  })

  test('comes out as PostgreSQL prints it, numbers, booleans and bytes as what they are', () => {
    for (const { id, from, row } of [...images(snapshot), ...images(stream)]) {
      expect(Object.keys(row)).toEqual(['id', ...types.map(({ name }) => name)])
      for (const type of types) {
        const text = printed[id]![type.name]!
        const expected =
          text === null ? null : type.name === 'float4' ? Number(floats[id]!.double) : valueOf(type.name, text)
        expect(Object.is(comparable(row[type.name]!), comparable(expected)), `${type.name}, row ${id}, ${from}`).toBe(
          true,
        )
      }
    }
  })
})

/** The pipeline's value of a printed one, by the rule of docs/types.md. */
function valueOf(type: string, text: string): Value {
  switch (type) {
    case 'bool':
      return text === 't'
    case 'int2':
    case 'int4':
    case 'oid':
    case 'float8':
      return Number(text)
    case 'int8': {
      const number = BigInt(text)
      return BigInt.asIntN(54, number) === number && number !== -(2n ** 53n) ? Number(number) : number
    }
    case 'bytea':
      return Buffer.from(text.slice(2), 'hex')
    default:
      return text
  }
}

function comparable(value: Value): Value {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
}
