/** The contract checker: takes everything that the sink writes, and of wrong files each for its own reason. */
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EXIT } from '../../core/error.ts'
import { verifyDpr, type Finding } from '../../proof/dpr-verify.ts'
import { change, marker, openDprRaw, rawZone, tableOf } from '../support/dpr-raw.ts'
import { runCommand } from '../support/command.ts'
import { SAMPLED_TABLES, sourceRow } from '../support/source-rows.ts'

let instance: DuckDBInstance
let connection: DuckDBConnection
beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:')
  connection = await instance.connect()
  await connection.run(`SET TimeZone = 'UTC'`)
})
afterAll(() => instance.closeSync())

const field = (name: string, type: unknown, more: object = {}) => ({ name, type, nullable: true, ...more })

const CONTRACT = {
  type: 'record',
  name: 'thing',
  service: 'source',
  namespace: 'prisons',
  version: '1.0.0',
  description: 'A thing.',
  contacts: { author: 'a', team: 't', slack: 's' },
  database: { type: 'postgres', version: '18', name: 'd' },
  fields: [
    field('id', 'string', { nullable: false, key: 'primary' }),
    field('n', 'int', { nullable: false }),
    field('big', 'long'),
    field('at', { type: 'long', logicalType: 'timestamp-micros' }),
    field('opens', 'string', { metadata: { sensitive: false, validationType: 'time' } }),
    field('amount', { type: 'bytes', logicalType: 'decimal', precision: 10, scale: 2 }),
  ],
}

/** A file's columns as SQL, by name; null leaves one out. */
type Columns = Readonly<Record<string, string | null>>

const LOADED: Columns = {
  Op: `'I'`,
  id: `'a'`,
  n: '1::INTEGER',
  big: '1::BIGINT',
  at: `TIMESTAMPTZ '2024-07-01 12:00:00+00'`,
  opens: `'07:30:00'`,
  amount: '1.50::DECIMAL(10,2)',
  _timestamp: `'2024-05-06 12:00:00.000000'`,
  checkpoint_col: `''`,
}
const at = (second: number): Columns => ({
  _timestamp: `'2024-05-06 12:00:0${second}.000000'`,
  checkpoint_col: `'202405061200${String(second).padStart(2, '0')}000000000000000000001'`,
})
const CHANGED: Columns = { ...LOADED, Op: `'U'`, ...at(1) }

const LOAD = 'LOAD00000001.parquet'
const FIRST = '20240506-120010000.parquet'
const SECOND = '20240506-120020000.parquet'

interface Zone {
  readonly contract?: object | string | null
  readonly files: Readonly<Record<string, readonly Columns[] | string>>
}

/** Files are written in the order in which they are named here. */
async function zoneOf({ contract = CONTRACT, files }: Zone): Promise<string> {
  const zone = rawZone()
  const folder = join(zone, 'raw/source/thing')
  mkdirSync(folder, { recursive: true })
  mkdirSync(join(zone, 'contracts/source'), { recursive: true })
  if (contract !== null) {
    const text = typeof contract === 'string' ? contract : JSON.stringify(contract)
    writeFileSync(join(zone, 'contracts/source/thing.avsc'), text)
  }
  for (const [i, [name, rows]] of Object.entries(files).entries()) {
    const path = join(folder, name)
    mkdirSync(join(path, '..'), { recursive: true })
    if (typeof rows === 'string') writeFileSync(path, rows)
    else await connection.run(`COPY (${rows.map(select).join(' UNION ALL ')}) TO '${path}' (FORMAT parquet)`)
    utimesSync(path, 1000 + i, 1000 + i)
  }
  return zone
}

function select(columns: Columns): string {
  const given = Object.entries(columns).filter(([, sql]) => sql !== null)
  return `SELECT ${given.map(([name, sql]) => `${sql} AS "${name}"`).join(', ')}`
}

const findingsOf = async (zone: string): Promise<readonly Finding[]> =>
  (await verifyDpr(zone)).flatMap(({ findings }) => findings)

test('a load, changes, a delete and a row that comes again are taken as they were meant (rules dpr.order, dpr.merges)', async () => {
  const zone = await zoneOf({
    files: {
      [LOAD]: [LOADED, { ...LOADED, id: `'b'` }],
      [FIRST]: [CHANGED, { ...LOADED, Op: `'D'`, id: `'b'`, n: 'NULL::INTEGER', ...at(2) }],
      [SECOND]: [
        { ...LOADED, id: `'b'`, ...at(3) },
        { ...CHANGED, opens: 'NULL', ...at(4) },
      ],
      _temporary: 'ignored',
    },
  })
  expect(await verifyDpr(zone)).toEqual([
    {
      table: 'source/thing',
      files: 3,
      accepted: 6,
      superseded: 4,
      rejected: 0,
      curated: 2,
      operational: 2,
      staleAtOnce: 1,
      findings: [],
    },
  ])
})

const WRONG: readonly (readonly [title: string, zone: Zone, rule: string, outcome: string, says: RegExp])[] = [
  ['no contract', { contract: null, files: { [LOAD]: [LOADED] } }, 'no-contract', 'rejected', /no contract/],
  ['a contract that is no JSON', { contract: '{', files: { [LOAD]: [LOADED] } }, 'contract', 'rejected', /not JSON/],
  [
    'a contract without owner',
    { contract: { ...CONTRACT, contacts: undefined }, files: { [LOAD]: [LOADED] } },
    'contract',
    'rejected',
    /contacts is missing/,
  ],
  [
    'a contract of another service',
    { contract: { ...CONTRACT, service: 'other' }, files: { [LOAD]: [LOADED] } },
    'contract',
    'rejected',
    /service is not the source/,
  ],
  [
    'a contract in another namespace',
    { contract: { ...CONTRACT, namespace: 'people' }, files: { [LOAD]: [LOADED] } },
    'contract',
    'rejected',
    /namespace is not prisons/,
  ],
  [
    'a name that the jobs cut',
    { contract: { ...CONTRACT, name: 'thing_1_2' }, files: { [LOAD]: [LOADED] } },
    'contract',
    'rejected',
    /take its name for/,
  ],
  [
    'no primary key',
    {
      contract: { ...CONTRACT, fields: CONTRACT.fields.map((each) => ({ ...each, key: undefined })) },
      files: { [LOAD]: [LOADED] },
    },
    'contract',
    'rejected',
    /no field is a primary key/,
  ],
  [
    'a union instead of nullable',
    {
      contract: { ...CONTRACT, fields: [...CONTRACT.fields, field('extra', ['null', 'string'])] },
      files: { [LOAD]: [LOADED] },
    },
    'contract',
    'rejected',
    /extra has a type/,
  ],
  [
    'an unknown validation',
    {
      contract: {
        ...CONTRACT,
        fields: [...CONTRACT.fields, field('x', 'string', { metadata: { validationType: 'date' } })],
      },
      files: { [LOAD]: [LOADED] },
    },
    'contract',
    'rejected',
    /validation that there is not/,
  ],
  ['a column too many', { files: { [LOAD]: [{ ...LOADED, lsn: '1' }] } }, 'schema', 'rejected', /lsn is not in/],
  ['a required column too few', { files: { [LOAD]: [{ ...LOADED, n: null }] } }, 'schema', 'rejected', /n is missing/],
  ['no Op', { files: { [LOAD]: [{ ...LOADED, Op: null }] } }, 'schema', 'rejected', /Op is missing/],
  [
    'op in small letters',
    { files: { [LOAD]: [{ ...LOADED, Op: null, op: `'I'` }] } },
    'schema',
    'rejected',
    /op is not in/,
  ],
  [
    'a timestamp without zone',
    { files: { [LOAD]: [{ ...LOADED, at: `TIMESTAMP '2024-07-01 12:00:00'` }] } },
    'schema',
    'rejected',
    /at is timestamp without zone and should be timestamp/,
  ],
  [
    'a timestamp to the nanosecond',
    { files: { [LOAD]: [{ ...LOADED, at: `TIMESTAMP_NS '2024-07-01 12:00:00'` }] } },
    'schema',
    'rejected',
    /at has a type that Spark cannot read/,
  ],
  ['a long for an int', { files: { [LOAD]: [{ ...LOADED, n: '1::BIGINT' }] } }, 'schema', 'rejected', /n is long/],
  ['an int for a long', { files: { [LOAD]: [{ ...LOADED, big: '1::INTEGER' }] } }, 'schema', 'rejected', /big is int/],
  [
    'a decimal of another size',
    { files: { [LOAD]: [{ ...LOADED, amount: '1.5::DECIMAL(12,2)' }] } },
    'schema',
    'rejected',
    /amount is decimal\(12,2\)/,
  ],
  ['a UUID as bytes', { files: { [LOAD]: [{ ...LOADED, id: 'uuid()' }] } }, 'schema', 'rejected', /id is binary/],
  [
    'a time as a number',
    { files: { [LOAD]: [{ ...LOADED, opens: `TIME '07:30'` }] } },
    'schema',
    'rejected',
    /opens has a type/,
  ],
  ['a list', { files: { [LOAD]: [{ ...LOADED, big: '[1, 2]' }] } }, 'schema', 'rejected', /big is nested/],
  ['half a file', { files: { [LOAD]: 'PAR1 and no more' } }, 'unreadable', 'rejected', /no parquet/],
  ['a file without rows', { files: { [FIRST]: [] } }, 'empty', 'ignored', /no row/],
  [
    'a name with a third part',
    { files: { '20240506-120010000-1.parquet': [CHANGED] } },
    'name',
    'ignored',
    /of this name/,
  ],
  ['a load file with a dash', { files: { 'LOAD-00000001.parquet': [LOADED] } }, 'name', 'ignored', /of this name/],
  ['a folder below the table', { files: { 'day=1/x.parquet': [LOADED] } }, 'folder', 'rejected', /partition column/],
  ['a null key', { files: { [FIRST]: [{ ...CHANGED, id: 'NULL::VARCHAR' }] } }, 'null-key', 'rejected', /key is null/],
  ['a null Op', { files: { [FIRST]: [{ ...CHANGED, Op: 'NULL::VARCHAR' }] } }, 'null-op', 'rejected', /Op is null/],
  [
    'a null where none may be',
    { files: { [FIRST]: [{ ...CHANGED, n: 'NULL::INTEGER' }] } },
    'null-required',
    'rejected',
    /requires/,
  ],
  [
    'a time with a fraction',
    { files: { [FIRST]: [{ ...CHANGED, opens: `'07:30:00.5'` }] } },
    'time',
    'rejected',
    /HH:mm:ss/,
  ],
  ['an Op of its own', { files: { [FIRST]: [{ ...CHANGED, Op: `'T'` }] } }, 'op', 'ignored', /none of I, U, D/],
  ['an update in a load file', { files: { [LOAD]: [{ ...LOADED, Op: `'U'` }] } }, 'load-op', 'ignored', /no I/],
  [
    'a _timestamp with a T',
    { files: { [FIRST]: [{ ...CHANGED, _timestamp: `'2024-05-06T12:00:00.000000'` }] } },
    'timestamp',
    'overwrites',
    /sort/,
  ],
  [
    'an LSN for a checkpoint',
    { files: { [FIRST]: [{ ...CHANGED, checkpoint_col: `'0/16B3748'` }] } },
    'checkpoint',
    'overwrites',
    /35 digits/,
  ],
  ['a key that is loaded twice', { files: { [LOAD]: [LOADED, LOADED] } }, 'load-twice', 'doubled', /loaded twice/],
  [
    'a change that is there twice',
    { files: { [FIRST]: [CHANGED], [SECOND]: [CHANGED] } },
    'change-twice',
    'doubled',
    /there twice/,
  ],
  [
    'an older state in a later file',
    { files: { [FIRST]: [{ ...CHANGED, ...at(5) }], [SECOND]: [CHANGED] } },
    'older-later',
    'overwrites',
    /older state/,
  ],
  [
    'an I of a row that is there',
    { files: { [LOAD]: [LOADED], [FIRST]: [{ ...CHANGED, Op: `'I'` }] } },
    'live-insert',
    'ignored',
    /operational store/,
  ],
  [
    'a file that arrives behind its successor',
    { files: { [SECOND]: [{ ...CHANGED, ...at(2) }], [FIRST]: [CHANGED] } },
    'arrival',
    'overwrites',
    /puts it behind/,
  ],
  [
    'a clock that goes back',
    { files: { [FIRST]: [{ ...CHANGED, ...at(2) }], [SECOND]: [{ ...CHANGED, id: `'b'` }] } },
    'clock-back',
    'overwrites',
    /time falls/,
  ],
]

describe('wrong files, each for the right reason (rules dpr.schema, dpr.violations)', () => {
  test.each(WRONG)('%s', async (title, zone, rule, outcome, says) => {
    const written = title === 'a file without rows' ? { files: { [FIRST]: 'to be replaced' } } : zone
    const place = await zoneOf(written)
    if (title === 'a file without rows') {
      await connection.run(
        `COPY (${select(CHANGED)} LIMIT 0) TO '${join(place, 'raw/source/thing', FIRST)}' (FORMAT parquet)`,
      )
    }
    const findings = await findingsOf(place)
    expect(findings).toContainEqual(expect.objectContaining({ rule, outcome, says: expect.stringMatching(says) }))
    const others = findings.filter((each) => each.rule !== rule).map((each) => each.rule)
    expect(others.filter((each) => !(ACCOMPANY[rule] ?? []).includes(each))).toEqual([])
  })
})

/** What cannot be wrong alone. */
const ACCOMPANY: Readonly<Record<string, readonly string[]>> = {
  'older-later': ['clock-back'],
  arrival: [],
}

test('what the sink writes is taken whole: a load, every table changed and deleted, a changed key, a move, new columns', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone, { columnKind: () => 'code' })
  const question = (id: number, more: object = {}) => ({ ...sourceRow('public.question', { id }), ...more })
  const narrow = tableOf('public.question')
  const wide = { ...narrow, columns: [...narrow.columns, { name: 'severity', oid: 23, modifier: -1 }] }
  const reference = (name: string) => (name.startsWith('nomis') ? '247314' : '10000042')
  const tables = SAMPLED_TABLES.map((table) => ({ table, reference: reference(table), row: sourceRow(table) }))
  let offset = 0
  let lsn = 1000
  const next = () => ({ offset: offset++, lsn: (lsn += 1000) })
  await sink.write([
    ...tables.map(({ table, reference: of, row }) =>
      change({ table, reference: of, op: 'r', after: row, offset: offset++, lsn: 900 }),
    ),
    ...[101, 102, 103].map((id) => change({ op: 'r', after: question(id), offset: offset++, lsn: 900 })),
    marker({ offset: offset++, lsn: 950 }),
  ])
  await sink.write(
    tables.map(({ table, reference: of, row }) => change({ table, reference: of, before: row, after: row, ...next() })),
  )
  const rekeyed = next()
  await sink.write([
    change({ before: question(101), ...rekeyed, ordinal: 1, at: lsn - 100, last: false }),
    change({ after: question(201), ...rekeyed, offset: offset++, ordinal: 2, at: lsn - 100 }),
    change({ table: wide, before: question(102), after: question(102, { severity: 3 }), ...next() }),
    change({ table: wide, after: question(104, { severity: 4 }), ...next() }),
    change({ table: wide, op: 'r', after: question(103, { severity: 1 }), ...next() }),
  ])
  await sink.write(
    tables
      .toReversed()
      .map(({ table, reference: of, row }) => change({ table, reference: of, before: row, ...next() })),
  )
  await sink.close()
  const verdicts = await verifyDpr(zone)
  expect(verdicts.flatMap(({ table, findings }) => findings.map((each) => ({ table, ...each })))).toEqual([])
  expect(verdicts.length).toBeGreaterThan(15)
  const statistics = [...sink.statistics()].map(([table, { fullLoadRows, inserts, updates, deletes }]) => [
    table,
    fullLoadRows + inserts + updates + deletes,
  ])
  expect(Object.fromEntries(verdicts.map(({ table, accepted }) => [table, accepted]))).toEqual(
    Object.fromEntries(statistics),
  )
  const questions = verdicts.find(({ table }) => table === 'incidentreporting/question')
  expect(questions).toMatchObject({ rejected: 0, curated: 4, operational: 4 })
  const { code, stdout } = await runCommand(['contracts', 'verify-dpr', zone, '--json'], {})
  expect({ code, findings: (JSON.parse(stdout) as { findings: number }).findings }).toEqual({
    code: EXIT.done,
    findings: 0,
  })
})

test.each([
  [
    EXIT.difference,
    { files: { [LOAD]: [LOADED, LOADED] } },
    /doubled {2}LOAD00000001.parquet \(1 rows\): a key is loaded twice/,
  ],
  [
    EXIT.contract,
    { contract: null, files: { [LOAD]: [LOADED] } },
    /rejected {2}LOAD00000001.parquet \(1 rows\): no contract/,
  ],
] as const)('the command ends with exit code %i and says why', async (exit, zone, says) => {
  const { code, stdout } = await runCommand(['contracts', 'verify-dpr', await zoneOf(zone)], {})
  expect(code).toBe(exit)
  expect(stdout).toMatch(says)
})

test('a folder that is no raw zone is a configuration error', async () => {
  const { code, stderr } = await runCommand(['contracts', 'verify-dpr', rawZone()], {})
  expect(code).toBe(EXIT.configuration)
  expect(stderr).toMatch(/holds no folder raw/)
})
