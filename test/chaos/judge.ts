/**
 * Whether the topic says what the source says: every committed change once and in commit order, none that was taken back,
 * and the fold of it all equal to the tables.
 */
import type pg from 'pg'
import { isStreamed, tableName, type Change, type Row, type RowChange, type Value } from '../../core/change.ts'
import type { Position } from '../../core/position.ts'
import { ROLLED_BACK } from '../../workload/ledger-patterns.ts'
import type { Ledger } from '../../workload/ledger.ts'
import { incidents, type Incidents } from './incidents.ts'
import type { OracleChange, OracleTransaction, PlainRow } from './oracle.ts'

export interface Evidence {
  /** What the source committed, in commit order. */
  readonly oracle: readonly OracleTransaction[]
  /** What a reader of the topic was given since the last judgement, in the order in which it was. */
  readonly changes: readonly Change[]
  readonly ledger: Ledger
}

export interface Judge {
  /** What is wrong, one sentence each; empty when nothing is. At most `LIMIT` of a kind. */
  judge(evidence: Evidence): string[]
  /** Where the fold of everything so far differs from the tables. */
  compareTables(client: pg.ClientBase): Promise<string[]>
  /** How many rows the fold has. */
  readonly rows: number
}

const LIMIT = 5

interface Folded {
  readonly position: Position
  /** Null: deleted. */
  readonly row: Row | null
}

export function judge(): Judge {
  const fold = new Map<string, Map<string, Folded>>()
  const heights = new Map<string, { readonly position: Position; readonly partition: number }>()
  const belongs = incidents()

  function keep(change: RowChange): void {
    const table = tableName(change.table)
    const rows = fold.get(table) ?? new Map<string, Folded>()
    fold.set(table, rows)
    const row = change.after ?? change.before!
    const key = change.table.key.map((name) => plain(row[name]!)).join('/')
    const known = rows.get(key)
    if (known !== undefined && known.position >= change.position) return
    rows.set(key, { position: change.position, row: change.after })
  }

  /** Each incident stands in one partition, where its positions rise. */
  function* disorder(changes: readonly RowChange[]): Generator<string> {
    for (const { reference, position, partition } of changes) {
      if (reference === null) continue
      const last = heights.get(reference)
      if (last !== undefined && last.partition !== partition)
        yield `incident ${reference} is in partition ${partition} at ${position}, and was in ${last.partition}`
      if (last !== undefined && last.position >= position)
        yield `incident ${reference} has ${position} behind ${last.position}`
      heights.set(reference, { position, partition })
    }
  }

  return {
    judge: ({ oracle, changes, ledger }) => {
      const rows = changes.filter((change): change is RowChange => change.op !== 'm')
      const streamed = rows.filter((change) => isStreamed(change))
      for (const change of rows) keep(change)
      belongs.learn(oracle)
      return [
        ...first(disorder(streamed)),
        ...first(transactions(oracle, streamed)),
        ...first(strays(streamed, belongs)),
        ...first(outcomes(ledger, oracle, streamed)),
        ...first(takenBack(rows)),
      ]
    },
    compareTables: async (client) => {
      const wrong: string[] = []
      for (const [table, rows] of fold) wrong.push(...(await compareTable(client, table, rows)))
      return wrong
    },
    get rows() {
      return [...fold.values()].reduce((sum, rows) => sum + rows.size, 0)
    },
  }
}

function* strays(streamed: readonly RowChange[], belongs: Incidents): Generator<string> {
  for (const { table, before, after, reference, position } of streamed) {
    const row = new Map(Object.entries((after ?? before)!).map(([name, value]) => [name, plain(value)]))
    const incident = belongs.of(tableName(table), row)
    if (incident !== (reference ?? undefined))
      yield `${tableName(table)} is of no incident, or of another's, at ${position}`
  }
}

function first(found: Iterable<string>): string[] {
  const all = [...found]
  return all.length <= LIMIT ? all : [...all.slice(0, LIMIT), `… and ${all.length - LIMIT} more of this kind`]
}

/** The same transactions in the same order, each with the same changes, each change once. */
function* transactions(oracle: readonly OracleTransaction[], streamed: readonly RowChange[]): Generator<string> {
  const inOrder = streamed.toSorted((a, b) => (a.position < b.position ? -1 : 1))
  const groups = [...Map.groupBy(inOrder, (change) => change.txId)]
  const found = groups.map(([txId]) => txId)
  const expected = oracle.map(({ txId }) => txId)
  const missing = expected.filter((txId) => !found.includes(txId))
  for (const txId of missing) yield `transaction ${txId} was committed and is not in the topic`
  const invented = found.filter((txId) => !expected.includes(txId))
  for (const txId of invented) yield `transaction ${txId} is in the topic and was not committed`
  const both = expected.filter((txId) => found.includes(txId))
  const order = found.filter((txId) => expected.includes(txId))
  const at = both.findIndex((txId, i) => order[i] !== txId)
  if (at !== -1) yield `transaction ${order[at]} stands where ${both[at]} was committed`
  const byId = new Map(groups)
  for (const { txId, changes } of oracle) {
    const its = byId.get(txId)
    if (its === undefined) continue
    const wrong = contents(changes, its)
    if (wrong !== null) yield `transaction ${txId} ${wrong}`
  }
}

function contents(expected: readonly OracleChange[], its: readonly RowChange[]): string | null {
  for (const [i, change] of its.entries()) {
    const ordinal = Number.parseInt(change.position.slice(-8), 16)
    if (ordinal !== i + 1) return `has ordinal ${ordinal} as its change ${i + 1} of ${its.length}`
  }
  const partitions = Map.groupBy(its, ({ partition }) => partition)
  for (const [partition, run] of partitions) {
    const ends = run.filter(({ lastInTransaction }) => lastInTransaction).length
    if (ends !== 1 || !run.at(-1)!.lastInTransaction) return `has ${ends} ends in partition ${partition}`
  }
  let at = 0
  for (const [i, change] of expected.entries()) {
    const [a, b] = [its[at], its[at + 1]]
    if (a === undefined) return `ends before its change ${i + 1} of ${expected.length}`
    if (change.op === 'UPDATE' && a.op === 'd') {
      if (b?.op !== 'c') return `has no insert behind the delete that its change ${i + 1} is`
      if (keyOf(a) === keyOf(b) && a.reference === b.reference) return `has change ${i + 1} as two without need`
      if (!same(change.before, a.before) || !same(change.after, b.after)) return `has other values in change ${i + 1}`
      at += 2
      continue
    }
    if (a.op !== OPS[change.op] || tableName(a.table) !== change.table)
      return `has ${a.op} of ${tableName(a.table)} where ${change.op} of ${change.table} was its change ${i + 1}`
    if (change.op === 'UPDATE' && a.table.key.some((name) => plain(a.before![name]!) !== plain(a.after![name]!)))
      return `has a changed key in one change, its change ${i + 1}`
    if (!same(change.before, a.before) || !same(change.after, a.after)) return `has other values in change ${i + 1}`
    at += 1
  }
  return at === its.length ? null : `has ${its.length - at} changes too many`
}

const OPS = { INSERT: 'c', UPDATE: 'u', DELETE: 'd' } as const

function keyOf({ table, before, after }: RowChange): string {
  return table.key.map((name) => plain((after ?? before)![name]!)).join('/')
}

function same(expected: PlainRow | null, found: Row | null): boolean {
  if (expected === null || found === null) return expected === found
  return Object.entries(found).every(([name, value]) => (expected.get(name) ?? null) === plain(value))
}

function plain(value: Value): string | null {
  return value === null ? null : String(value)
}

/** What the writers know: the oracle and the topic have all that they committed and nothing that was rolled back. */
function* outcomes(
  { committed, rolledBack }: Ledger,
  oracle: readonly OracleTransaction[],
  streamed: readonly RowChange[],
): Generator<string> {
  const seen = new Set(streamed.map(({ txId }) => txId))
  const known = new Set(committed.map(({ txId }) => txId))
  // a server that crashed may have given the id once more
  for (const { txId, pattern } of rolledBack)
    if (seen.has(txId) && !known.has(txId)) yield `transaction ${txId} (${pattern}) was rolled back and is in the topic`
  for (const { txId } of oracle)
    if (!known.has(txId)) yield `transaction ${txId} was committed by none of the writers, as far as they know`
}

function* takenBack(rows: readonly RowChange[]): Generator<string> {
  for (const { position, table, before, after } of rows)
    for (const image of [before, after])
      if (image !== null && Object.values(image).includes(ROLLED_BACK))
        yield `${tableName(table)} has at ${position} a value that was taken back`
}

async function compareTable(client: pg.ClientBase, table: string, folded: Map<string, Folded>): Promise<string[]> {
  const columns = await client.query<{ name: string; key: number | null }>(
    `SELECT a.attname::text AS name, array_position(i.indkey::int2[], a.attnum) AS key
     FROM pg_attribute a JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
     WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [table],
  )
  const names = columns.rows.map(({ name }) => name)
  const keys = columns.rows.filter(({ key }) => key !== null).toSorted((a, b) => a.key! - b.key!)
  const { rows } = await client.query<(string | null)[]>({
    text: `SELECT ${names.map((name) => `"${name}"::text`).join(', ')} FROM ${table}`,
    rowMode: 'array',
  })
  const held = new Map([...folded].filter(([, { row }]) => row !== null))
  const wrong: string[] = []
  for (const values of rows) {
    const key = keys.map(({ name }) => values[names.indexOf(name)]).join('/')
    const row = held.get(key)?.row
    held.delete(key)
    if (row == null) wrong.push(`the fold lacks ${table} ${key}`)
    else if (names.some((name, i) => plain(row[name]!) !== values[i]))
      wrong.push(`the fold has another ${table} ${key}`)
  }
  for (const key of held.keys()) wrong.push(`the fold has ${table} ${key}, which the source has not`)
  return first(wrong)
}
