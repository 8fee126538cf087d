/**
 * The operational store: the unified entities as tables of PostgreSQL, one row each, as the API reads them.
 *
 * A write is one database transaction: COPY, merge, places. The pieces of a source transaction that is too large for
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
    await stage(items)
    if (staged.waiting) {
      if (!open) await client.query('BEGIN')
      open = true
      await staged.flush()
    }
    if (places.midway.size > 0 || !places.moved) return
    await commit()
  }

  async function stage(items: readonly IncidentChange[]): Promise<void> {
    let untilPause = CHANGES_BESIDE_OTHERS
    for (const item of items) {
      if (places.take(item.change)) staged.add(item)
      untilPause -= 1
      if (untilPause > 0) continue
      untilPause = CHANGES_BESIDE_OTHERS
      await breathe()
    }
  }

  async function commit(): Promise<void> {
    // one implicit transaction where none is open; a store that is swapped waits for it
    const texts = open
      ? [mergeStatements(staged), stillOurs, places.sql(), 'COMMIT']
      : [BESIDE_OTHERS, stillOurs, places.sql()]
    await client.query(texts.join(';'))
    open = false
    places.commit()
    staged.clear()
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
