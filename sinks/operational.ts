/**
 * The operational store: the unified entities as tables of PostgreSQL, one row each, as the API reads them.
 *
 * A write is COPY, amendments, merge and places in one database transaction, a large one in several, cut between source
 * transactions: while PostgreSQL merges one part, a second session takes the next part's rows and amendments, and the one
 * after is prepared here. Merges and places follow one another in order. The pieces of a source transaction that is too
 * large for memory are copied in one that stays open until the last of them has come; nothing of it shows before.
 */
import { setImmediate as breathe } from 'node:timers/promises'
import type pg from 'pg'
import { PipelineError } from '../core/error.ts'
import type { IncidentChange } from '../core/incident.ts'
import type { PlacedSink, Places } from '../core/place.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import { connectStore, storeError } from './operational-connection.ts'
import { prepareLayout, sameStore, SCHEMA } from './operational-layout.ts'
import { BESIDE_OTHERS, FORGET_OLD_DELETES, merge } from './operational-merge.ts'
import { reached, registerPartitions } from './operational-places.ts'
import { sessionsOf, type Session } from './operational-sessions.ts'
import { copyStaged, staging, type Copy } from './operational-staging.ts'

export interface OperationalOptions {
  readonly url: string
  /** Those of the output `operational`. */
  readonly projections: Projections
  /** Which rules make the rows; each row carries it. */
  readonly rulesVersion: number
  /** `prisons` unless given: another one is a store that is being built beside it. */
  readonly schema?: string
}

/** After so many changes other work gets its turn. */
const CHANGES_BESIDE_OTHERS = 1_000

/** So many changes are merged at once where no source transaction is cut by it: some 100 to 200 ms. */
const PART = 8_000

const FORGET_EVERY_MS = 10 * 60_000

/**
 * Opens the store, made if it is missing. SINK when it cannot be reached or written, DISK_FULL when it has no space,
 * SINK_FOREIGN when it holds what this sink cannot continue. After a failed write the sink takes nothing more: another
 * one reads on from its places.
 */
export async function operationalStore(options: OperationalOptions): Promise<PlacedSink<IncidentChange>> {
  const schema = options.schema ?? SCHEMA
  const client = await connectStore(options.url, schema)
  try {
    const generation = await prepareLayout(client, { ...options, schema })
    return await openSink(client, options, generation)
  } catch (error) {
    await client.end().catch(() => {})
    throw storeError(error, options.url)
  }
}

async function openSink(
  client: pg.Client,
  options: OperationalOptions,
  generation: string,
): Promise<PlacedSink<IncidentChange>> {
  const { url, projections, rulesVersion } = options
  const staged = staging(projections)
  const { prepare, amend, merge: mergeStaged } = merge(projections, rulesVersion)
  const sessions = await sessionsOf(client, { url, schema: options.schema ?? SCHEMA, create: staged.create })
  const places = await reached(client)
  const stillOurs = sameStore(generation)

  /** In whose transaction pieces lie. */
  let open: Session | null = null
  let failed = false
  let forgotAt = -FORGET_EVERY_MS
  let queue: Promise<unknown> = Promise.resolve()

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = queue.then(async () => {
      if (failed) throw unusable()
      try {
        return await work()
      } catch (error) {
        failed = true
        await sessions.end()
        throw storeError(error, url)
      }
    })
    queue = turn.catch(() => {})
    return turn
  }

  async function write(items: readonly IncidentChange[]): Promise<void> {
    let merged: Promise<void> = Promise.resolve()
    for (let next = 0; next < items.length;) {
      next = await stage(items, next)
      const session = open ?? (await sessions.idle())
      if (places.midway.size > 0 || !places.moved) {
        await merged
        await copy(session, staged.take())
        open = session.inTransaction ? session : null
        continue
      }
      open = null
      merged = sessions.occupy(session, commit(session, takePart(), merged))
      merged.catch(() => {}) // told by what comes after it
    }
    await merged
  }

  /** Prepares a part of the items; resolves to where the next begins. */
  async function stage(items: readonly IncidentChange[], from: number): Promise<number> {
    for (let i = from; i < items.length; i++) {
      const item = items[i]!
      if (places.take(item.change)) staged.add(item)
      const taken = i + 1 - from
      if (taken >= PART && places.midway.size === 0) return i + 1
      if (taken % CHANGES_BESIDE_OTHERS === 0) await breathe()
    }
    return items.length
  }

  function takePart(): Part {
    const part = {
      copies: staged.take(),
      prepare: prepare(staged),
      amend: amend(staged),
      merge: mergeStaged(staged),
      places: places.sql(),
    }
    staged.clear()
    places.commit()
    return part
  }

  async function prepareFor(session: Session, statements: readonly string[]): Promise<void> {
    if (session.prepared || statements.length === 0) return
    for (const statement of statements) await session.client.query(statement)
    session.prepared = true
  }

  async function copy(session: Session, copies: readonly Copy[]): Promise<void> {
    if (copies.length === 0) return
    if (!session.inTransaction) await session.client.query('BEGIN')
    session.inTransaction = true
    await copyStaged(session.client, copies)
  }

  /** After the part before it, whose places come first; what does not hang on its rows is done meanwhile. */
  async function commit(session: Session, part: Part, before: Promise<void>): Promise<void> {
    const { client: its } = session
    await prepareFor(session, part.prepare)
    await copy(session, part.copies)
    const early = session.inTransaction && sessions.busy() > 1
    if (early) await its.query(part.amend)
    await before
    // one implicit transaction where none is open; a store that is swapped waits for it
    const texts = session.inTransaction
      ? [...(early ? [] : [part.amend]), part.merge, stillOurs, part.places, 'COMMIT']
      : [BESIDE_OTHERS, stillOurs, part.places]
    session.inTransaction = false
    await its.query(texts.join(';'))
    if (performance.now() - forgotAt < FORGET_EVERY_MS) return
    forgotAt = performance.now()
    await its.query(FORGET_OLD_DELETES)
  }

  /** What has come of these partitions without an end comes again; what other partitions have in the same transaction stays. */
  async function restart(partitions: readonly number[]): Promise<Places> {
    if (open !== null && partitions.length > 0) await open.client.query(staged.forget(partitions))
    if (open === null && partitions.length > 0) await client.query(registerPartitions(partitions))
    return places.restart(partitions)
  }

  return {
    write: (items) => inTurn(() => write(items)),
    places: (partitions) => inTurn(() => restart(partitions)),
    close: async () => {
      await queue
      if (!failed) await sessions.end()
      failed = true
    },
  }
}

/** Of a write: what is copied, and what then is done with it. */
interface Part {
  readonly copies: readonly Copy[]
  readonly prepare: readonly string[]
  readonly amend: string
  readonly merge: string
  readonly places: string
}

function unusable(): PipelineError {
  return new PipelineError(
    'SINK',
    'the operational store was closed, or an earlier write to it failed',
    'Open it again and read on from its places.',
  )
}
