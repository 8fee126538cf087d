/**
 * The ledger: transactions of every kind from several writers at once, on incidents of both models that no two writers
 * share. What was committed in the end is known of each one, whatever happened to server and network meanwhile, and
 * a seed repeats it: a transaction that did not commit is run again before the next.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { LEDGER_PATTERNS, type LedgerPattern } from './ledger-patterns.ts'
import { KEYS_A_TURN } from './ledger-rows.ts'
import { random } from './random.ts'

export interface LedgerOptions {
  readonly url: string
  readonly seed: number
  /** Which run of the seed: each one's transactions are others. */
  readonly run: number
  readonly writers: number
  /** Of each writer. */
  readonly transactions: number
  /** The mean pause of a writer between two transactions. */
  readonly pauseMs: number
  /** Called after each transaction that has ended, with how many have, of all writers. */
  onTransaction?(ended: number): void
  /** How long a server that is away is waited for. */
  readonly patienceMs: number
}

export interface LedgerEntry {
  readonly txId: number
  readonly pattern: string
}

export interface Ledger {
  /** In the order in which each writer had them; a writer's are not ordered with another's. */
  readonly committed: readonly LedgerEntry[]
  /** Rolled back by the writer, or by the server's end. */
  readonly rolledBack: readonly LedgerEntry[]
}

/** So that runs of one seed on one database never use a row number twice; row numbers are int4. */
const RUNS = 2_000
const TURNS = 40
const WRITERS = 4
const WEIGHTS = LEDGER_PATTERNS.map((pattern) => [pattern, pattern.weight] as const)

/** Rejects with the database's error when it is none that passes, or lasts longer than the patience. */
export async function runLedger(options: LedgerOptions): Promise<Ledger> {
  const { writers, transactions } = options
  if (writers > WRITERS || transactions > TURNS)
    throw new RangeError(`at most ${WRITERS} writers with ${TURNS} transactions each`)
  await prepare(options.url)
  const committed: LedgerEntry[] = []
  const rolledBack: LedgerEntry[] = []
  let ended = 0
  const ends = (): void => options.onTransaction?.((ended += 1))
  const work = Array.from({ length: writers }, (_, writer) =>
    write({ ...options, writer, committed, rolledBack, ends }),
  )
  const failed = (await Promise.allSettled(work)).find((each) => each.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return { committed, rolledBack }
}

async function prepare(url: string): Promise<void> {
  const client = await connect(url)
  try {
    await client.query(ENTRIES)
  } finally {
    await client.end()
  }
}

interface Writing extends LedgerOptions {
  readonly writer: number
  readonly committed: LedgerEntry[]
  readonly rolledBack: LedgerEntry[]
  ends(): void
}

async function write(writing: Writing): Promise<void> {
  const { seed, run, writer, transactions, pauseMs } = writing
  let client: pg.Client | null = null
  try {
    for (let index = 0; index < transactions; index++) {
      const chance = random(seed, 'ledger', run, writer, index)
      const pattern = chance.weighted(WEIGHTS)
      const firstKey = (((run % RUNS) * WRITERS + writer) * TURNS + index + 1) * KEYS_A_TURN
      const pause = chance.int(0, 2 * pauseMs)
      const statements = pattern.statements({ random: chance, writer, firstKey })
      client = await untilEnded(writing, client, { pattern, statements, index })
      writing.ends()
      await sleep(pause)
    }
  } finally {
    await client?.end().catch(() => {})
  }
}

interface Planned {
  readonly pattern: LedgerPattern
  readonly statements: readonly string[]
  readonly index: number
}

/** Runs the transaction until it has ended as planned; the connection to go on with. */
async function untilEnded(writing: Writing, given: pg.Client | null, planned: Planned): Promise<pg.Client> {
  const { pattern, statements } = planned
  const deadline = performance.now() + writing.patienceMs
  let client = given
  /** One whose end is not known: its connection broke. */
  let doubtful: number | null = null
  while (true) {
    try {
      client ??= await connect(writing.url)
      const before = await committedAs(client, writing, planned)
      if (before !== null) {
        writing.committed.push({ txId: before, pattern: pattern.name })
        return client
      }
      if (doubtful !== null) writing.rolledBack.push({ txId: doubtful, pattern: pattern.name })
      doubtful = null
      await client.query('BEGIN')
      const { rows } = await client.query<{ id: string }>(
        'INSERT INTO ledger.entry VALUES ($1, $2, $3) RETURNING tx_id::text AS id',
        [writing.run, writing.writer, planned.index],
      )
      const txId = Number(rows[0]!.id)
      doubtful = txId
      for (const statement of statements) await client.query(statement)
      await client.query(pattern.ends ?? 'COMMIT')
      const done = pattern.ends === undefined ? writing.committed : writing.rolledBack
      done.push({ txId, pattern: pattern.name })
      return client
    } catch (error) {
      if (!isBroken(error) || performance.now() > deadline) throw error
      await client?.end().catch(() => {})
      client = null
      await sleep(50)
    }
  }
}

/**
 * Every transaction leaves its number, outside the publication: what a connection that broke leaves open is known by it.
 * Transaction ids alone would not do: a server that crashes gives those again that were in no flushed record.
 */
const ENTRIES = `
  CREATE SCHEMA IF NOT EXISTS ledger;
  CREATE TABLE IF NOT EXISTS ledger.entry (
    run int, writer int, index int, tx_id xid8 NOT NULL DEFAULT pg_current_xact_id(), PRIMARY KEY (run, writer, index)
  )`

/** The id under which the transaction was committed; null when it was not. */
async function committedAs(client: pg.Client, { run, writer }: Writing, { index }: Planned): Promise<number | null> {
  const { rows } = await client.query<{ id: string }>(
    'SELECT tx_id::text AS id FROM ledger.entry WHERE run = $1 AND writer = $2 AND index = $3',
    [run, writer, index],
  )
  return rows[0] === undefined ? null : Number(rows[0].id)
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {}) // told to whoever awaits a query
  await client.connect()
  return client
}

/** The connection is gone, or the server is on its way down or up: https://www.postgresql.org/docs/18/errcodes-appendix.html */
function isBroken(error: unknown): boolean {
  const { code = '', message = '' } = error as { code?: string; message?: string }
  if (code === '23505' && message.includes('entry_pkey')) return true // the backend before has ended with a commit meanwhile
  return /^(57P0[123]|08...|E[A-Z]+)$/.test(code) || /terminated|not queryable|timeout/i.test(message)
}
