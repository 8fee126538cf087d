/** Frames of pgoutput: made by a real server, or by hand. */
import type { Tuple } from '../../core/change.ts'
import { parseLsn, type Lsn } from '../../core/position.ts'
import type { Frame } from '../../connectors/postgres/framing.ts'
import type { TestDatabase } from './postgres.ts'

/** One column of a tuple: its text, null for NULL, undefined where an update did not send it. */
export type Cell = string | null | undefined

export interface PeekedFrame extends Frame {
  readonly lsn: Lsn
  /** What pgoutput made, without the header of the replication protocol. */
  readonly body: Buffer
}

/** Makes a publication of these tables (SQL) and a slot of the same name; run the workload after it. */
export async function publish(database: TestDatabase, tables: string): Promise<void> {
  await database.query(`CREATE PUBLICATION ${database.name} FOR TABLE ${tables}`)
  await database.query(`SELECT pg_create_logical_replication_slot('${database.name}', 'pgoutput')`)
}

/** Everything since `publish`, as the replication connection would bring it. */
export async function peek(database: TestDatabase): Promise<PeekedFrame[]> {
  const rows = await database.query<{ lsn: string; data: Buffer }>(
    `SELECT lsn::text, data FROM pg_logical_slot_peek_binary_changes('${database.name}', NULL, NULL,
       'proto_version', '1', 'publication_names', '${database.name}', 'messages', 'true')`,
  )
  return rows.map(({ lsn, data }) => ({ ...xlogData(parseLsn(lsn), data), lsn: parseLsn(lsn), body: data }))
}

/** A message in the replication protocol's own header. */
export function xlogData(lsn: Lsn, body: Buffer): Frame {
  const header = Buffer.alloc(25)
  header[0] = 0x77
  header.writeBigUInt64BE(BigInt(lsn), 1)
  header.writeBigUInt64BE(BigInt(lsn), 9)
  header.writeBigInt64BE(770_000_000_000_000n, 17)
  const bytes = Buffer.concat([header, body])
  return { bytes, start: 0, end: bytes.length }
}

/** A tuple out of its columns. */
export function tupleOf(...cells: readonly Cell[]): Tuple {
  const count = Buffer.alloc(2)
  count.writeUInt16BE(cells.length)
  const bytes = Buffer.concat([count, ...cells.flatMap(columnBytes)])
  return { bytes, start: 0, end: bytes.length }
}

function columnBytes(cell: Cell): Buffer[] {
  if (cell === null) return [Buffer.from('n')]
  if (cell === undefined) return [Buffer.from('u')]
  const text = Buffer.from(cell)
  const head = Buffer.from('t....')
  head.writeUInt32BE(text.length, 1)
  return [head, text]
}

/** The columns of a tuple, read by the grammar alone. */
export function cellsOf({ bytes, start, end }: Tuple): Cell[] {
  const cells: Cell[] = []
  let at = start + 2
  for (let left = bytes.readUInt16BE(start); left > 0; left--) {
    const kind = String.fromCharCode(bytes[at]!)
    at += 1
    if (kind !== 't') cells.push(kind === 'n' ? null : undefined)
    else {
      const length = bytes.readUInt32BE(at)
      cells.push(bytes.toString('utf8', at + 4, at + 4 + length))
      at += 4 + length
    }
  }
  if (at !== end) throw new RangeError(`the tuple ends at ${end}, its columns at ${at}`)
  return cells
}
