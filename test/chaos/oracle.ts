/**
 * What the source itself says that it committed: a slot of its own with test_decoding, PostgreSQL's plainest plugin, read
 * as text. Nothing of ours takes part: it says what capture has to say.
 */
import type pg from 'pg'

/** A row by column name, as PostgreSQL prints its values; null stands for NULL. */
export type PlainRow = ReadonlyMap<string, string | null>

export interface OracleChange {
  /** `schema.table` */
  readonly table: string
  readonly op: 'INSERT' | 'UPDATE' | 'DELETE'
  readonly before: PlainRow | null
  readonly after: PlainRow | null
}

export interface OracleTransaction {
  readonly txId: number
  readonly changes: readonly OracleChange[]
}

const SLOT = 'chaos_oracle'

export interface Oracle {
  /** What was committed since the last call, in commit order, transactions without row changes left out. */
  read(client: pg.ClientBase): Promise<OracleTransaction[]>
}

export async function createOracle(first: pg.ClientBase): Promise<Oracle> {
  await first.query(`SELECT pg_create_logical_replication_slot('${SLOT}', 'test_decoding')`)
  /** A server that crashes forgets how far a slot was read since its last checkpoint. */
  const told = new Set<number>()
  return {
    read: async (client) => {
      const found = (await readSlot(client)).filter(({ txId }) => !told.has(txId))
      for (const { txId } of found) told.add(txId)
      return found
    },
  }
}

async function readSlot(client: pg.ClientBase): Promise<OracleTransaction[]> {
  const { rows } = await client.query<{ xid: string; data: string }>(
    `SELECT xid::text, data FROM pg_logical_slot_get_changes('${SLOT}', NULL, NULL, 'include-xids', '0', 'skip-empty-xacts', '1')`,
  )
  const transactions: { txId: number; changes: OracleChange[] }[] = []
  for (const { xid, data } of rows) {
    if (data === 'BEGIN') transactions.push({ txId: Number(xid), changes: [] })
    else if (data.startsWith('table ') && !data.startsWith(UNPUBLISHED))
      transactions.at(-1)!.changes.push(parseChange(data))
  }
  return transactions.filter(({ changes }) => changes.length > 0)
}

/** What the writers keep for themselves. */
const UNPUBLISHED = 'table ledger.'

const HEAD = /^table (\S+): (INSERT|UPDATE|DELETE): /

export function parseChange(line: string): OracleChange {
  const [head, table = '', op = ''] = HEAD.exec(line) ?? []
  if (head === undefined) throw new Error(`test_decoding says something unknown: ${line.slice(0, 40)}`)
  const rest = line.slice(head.length)
  const name = table.replaceAll('"', '')
  if (op === 'INSERT') return { table: name, op, before: null, after: parseRow(rest).row }
  if (op === 'DELETE') return { table: name, op, before: parseRow(rest).row, after: null }
  const OLD = 'old-key: '
  const NEW = 'new-tuple: '
  if (!rest.startsWith(OLD))
    throw new Error(`test_decoding has no row before of ${name}: is its replica identity FULL?`)
  const before = parseRow(rest.slice(OLD.length))
  const after = parseRow(rest.slice(OLD.length + before.end + NEW.length))
  for (const column of after.unchanged) after.row.set(column, before.row.get(column) ?? null)
  return { table: name, op: 'UPDATE', before: before.row, after: after.row }
}

interface ParsedRow {
  readonly row: Map<string, string | null>
  /** Columns whose value lies outside the row and was not sent. */
  readonly unchanged: string[]
  /** Behind the last column and its space. */
  readonly end: number
}

/** `name[type]:value …`, up to the end or to `new-tuple:`. */
function parseRow(text: string): ParsedRow {
  const row = new Map<string, string | null>()
  const unchanged: string[] = []
  let at = 0
  while (at < text.length && !text.startsWith('new-tuple: ', at)) {
    const type = text.indexOf('[', at)
    const colon = text.indexOf(']:', type)
    const name = text.slice(at, type).replaceAll('"', '')
    at = colon + 2
    if (text[at] === "'") {
      let value = ''
      for (at += 1; ; at++) {
        const quote = text.indexOf("'", at)
        value += text.slice(at, quote)
        at = quote + 1
        if (text[at] !== "'") break
        value += "'"
      }
      row.set(name, value)
    } else {
      const space = text.indexOf(' ', at)
      const end = space === -1 ? text.length : space
      const value = text.slice(at, end)
      if (value === 'unchanged-toast-datum') unchanged.push(name)
      else row.set(name, value === 'null' ? null : value)
      at = end
    }
    at += 1
  }
  return { row, unchanged, end: at }
}
