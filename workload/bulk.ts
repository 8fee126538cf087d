/** Many row changes quickly, for measurements: what a bulk edit of reports' children looks like. */
import type pg from 'pg'
import type { Load } from './load.ts'
import { random, type Random } from './random.ts'
import { FIRST_DAY, millis, MINUTE, wall } from './time.ts'
import { writer, type Writer } from './writer.ts'

export interface BulkOptions {
  readonly seed: number
  /** How many row changes. */
  readonly rows: number
  /** How many of them a transaction has: 100 unless told. */
  readonly inTransaction?: number
}

const IN_TRANSACTION = 100
const PARENTS = 5_000

/**
 * Makes `rows` row changes of responses and prisoners in transactions: half of them inserts, seven updates for three
 * deletes of what it inserted itself. The database needs reports with questions; rejects when there are none.
 */
export async function bulkChanges(
  client: pg.ClientBase,
  { seed, rows, inTransaction = IN_TRANSACTION }: BulkOptions,
): Promise<Load> {
  const write = writer(client)
  const kinds = [
    { kind: RESPONSES, parents: await readParents(write, 'public.question'), ids: [] as number[] },
    { kind: PRISONERS, parents: await readParents(write, 'public.report'), ids: [] as number[] },
  ]
  if (kinds.some(({ parents }) => parents.length === 0)) {
    throw new Error('Bulk changes need reports with questions, and the database has none: seed some first.')
  }
  const chance = random(seed, 'bulk')
  let transactions = 0
  while (write.changes < rows) {
    const { kind, parents, ids } = kinds[chance.chance(0.7) ? 0 : 1]!
    const count = Math.min(inTransaction, rows - write.changes)
    const at = wall(millis(FIRST_DAY) + transactions * MINUTE)
    await write.transaction(() => change(write, { kind, parents, ids, count, at, chance }))
    transactions += 1
  }
  return { transactions, changes: write.changes }
}

interface Kind {
  /** $1 are the parents, one for each row; gives the ids back. */
  readonly insert: string
  readonly update: string
  readonly delete: string
}

const RESPONSES: Kind = {
  insert: `INSERT INTO public.response (question_id, sequence, response, additional_information, recorded_at, recorded_by, code, label)
    SELECT parent, n, 'YES', 'Added in bulk as row ' || n || ' of its transaction', $2, 'TEST_USER000', '400010', 'Yes'
      FROM unnest($1::int[]) WITH ORDINALITY AS t (parent, n) RETURNING id`,
  update: `UPDATE public.response SET response = 'NO', label = 'No', recorded_at = $2 WHERE id = ANY ($1)`,
  delete: 'DELETE FROM public.response WHERE id = ANY ($1)',
}

const PRISONERS: Kind = {
  insert: `INSERT INTO public.prisoner_involvement (report_id, prisoner_number, prisoner_role, comment, sequence, first_name, last_name)
    SELECT parent, 'T0000AA', 'PRESENT_AT_SCENE', 'Added in bulk at ' || $2::text, n, 'Alder', 'Testcase'
      FROM unnest($1::uuid[]) WITH ORDINALITY AS t (parent, n) RETURNING id`,
  update: `UPDATE public.prisoner_involvement SET prisoner_role = 'VICTIM', comment = $2 WHERE id = ANY ($1)`,
  delete: 'DELETE FROM public.prisoner_involvement WHERE id = ANY ($1)',
}

interface Turn {
  readonly kind: Kind
  readonly parents: readonly (string | number)[]
  /** Of the rows that are there, oldest first. */
  readonly ids: number[]
  readonly count: number
  readonly at: string
  readonly chance: Random
}

/** Of `count` row changes half are inserts; when a run begins there is less to update and delete, hence more inserts. */
async function change(write: Writer, { kind, parents, ids, count, at, chance }: Turn): Promise<void> {
  const updates = Math.min(ids.length, Math.floor(count * 0.35))
  const deletes = Math.min(ids.length, Math.floor(count * 0.15))
  if (updates > 0) {
    const from = chance.int(0, ids.length - updates)
    await write.write(kind.update, [ids.slice(from, from + updates), at])
  }
  if (deletes > 0) await write.write(kind.delete, [ids.splice(0, deletes)])
  const from = chance.int(0, parents.length - 1)
  const inserts = Array.from({ length: count - updates - deletes }, (_, i) => parents[(from + i) % parents.length])
  const added = await write.read<{ id: number }>(kind.insert, [inserts, at])
  write.count(added.length)
  for (const row of added) ids.push(row.id)
}

async function readParents(write: Writer, table: string): Promise<(string | number)[]> {
  const rows = await write.read<{ id: string | number }>(`SELECT id FROM ${table} ORDER BY id DESC LIMIT $1`, [PARENTS])
  return rows.map((row) => row.id)
}
