/**
 * The operational store: the unified entities as tables of PostgreSQL, one row each, as the API reads them.
 *
 * A write is COPY, merge and places in one database transaction, a large one in several, cut between source transactions:
 * PostgreSQL merges one part while the next is prepared here. The pieces of a source transaction that is too large for
 * memory are copied in one that stays open until the last of them has come; nothing of it shows before.
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
import { staging } from './operational-staging.ts'

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

/** So many changes are merged at once where no source transaction is cut by it: some 200 ms. */
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
  const staged = await staging(client, projections)
  const places = await reached(client)
  const mergeStatements = merge(projections, rulesVersion)
  const stillOurs = sameStore(generation)

  /** A database transaction is open: pieces lie in it. */
  let open = false
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
        await client.end().catch(() => {})
        throw storeError(error, url)
      }
    })
    queue = turn.catch(() => {})
    return turn
  }

  async function write(items: readonly IncidentChange[]): Promise<void> {
    let merging: Promise<void> = Promise.resolve()
    for (let next = 0; next < items.length;) {
      next = await stage(items, next)
      await merging
      await copy()
      if (places.midway.size > 0 || !places.moved) continue
      merging = commit()
      merging.catch(() => {}) // it is awaited when the next part is staged
    }
    await merging
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

  async function copy(): Promise<void> {
    if (!staged.waiting) return
    if (!open) await client.query('BEGIN')
    open = true
    await staged.flush()
  }

  /** What comes after it may be staged while it runs: should it fail, the sink takes nothing more. */
  async function commit(): Promise<void> {
    // one implicit transaction where none is open; a store that is swapped waits for it
    const texts = open
      ? [mergeStatements(staged), stillOurs, places.sql(), 'COMMIT']
      : [BESIDE_OTHERS, stillOurs, places.sql()]
    open = false
    places.commit()
    staged.clear()
    await client.query(texts.join(';'))
    if (performance.now() - forgotAt < FORGET_EVERY_MS) return
    forgotAt = performance.now()
    await client.query(FORGET_OLD_DELETES)
  }

  /** What has come of these partitions without an end comes again; what other partitions have in the same transaction stays. */
  async function restart(partitions: readonly number[]): Promise<Places> {
    if (open && partitions.length > 0) await staged.forget(partitions)
    if (!open && partitions.length > 0) await client.query(registerPartitions(partitions))
    return places.restart(partitions)
  }

  return {
    write: (items) => inTurn(() => write(items)),
    places: (partitions) => inTurn(() => restart(partitions)),
    close: async () => {
      await queue
      if (!failed) await client.end().catch(() => {})
      failed = true
    },
  }
}

function unusable(): PipelineError {
  return new PipelineError(
    'SINK',
    'the operational store was closed, or an earlier write to it failed',
    'Open it again and read on from its places.',
  )
}
