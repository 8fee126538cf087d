/** A capture into a list: what the raw topic would hold, without a topic. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { postgresFeed, type PostgresSource } from '../../connectors/postgres/feed.ts'
import { isStreamed, type Change, type Tuple } from '../../core/change.ts'
import { BEGINNING } from '../../core/position.ts'
import type { Tail } from '../../core/tail.ts'
import { rawDecoder } from '../../schemas/raw-decoder.ts'
import { rawEncoder } from '../../schemas/raw-encoder.ts'
import { localRegistry } from '../../schemas/registry-local.ts'

export const PARTITIONS = 6

export interface Captured {
  readonly changes: Change[]
  /** The same changes as bytes, ids of schemas left out. */
  readonly bytes: string[]
}

export interface CaptureRun {
  readonly url: string
  readonly name?: string
  readonly stateDirectory: string
  /** What earlier runs wrote, or what the topic holds when it is asked. */
  readonly before?: readonly Change[] | (() => readonly Change[] | Promise<readonly Change[]>)
  /** The topic, where it is more than this run's list. */
  write?(changes: readonly Change[]): void | Promise<void>
  /** Stop when this holds; asked after each batch. */
  until(captured: Captured): boolean
  /**
   * False leaves a batch unacknowledged and ends the run there, as a crash would; `later` leaves it so and goes on, as
   * whoever reads ahead does until it has written.
   */
  acknowledge?(items: readonly Change<Tuple>[]): boolean | 'later'
  warn?(sentence: string): void
  /** As connectors/postgres/feed.ts has them. */
  readonly chunkBytes?: number
  readonly reached?: PostgresSource['reached']
}

/** The ends of a topic that holds these changes in this order. */
export function tailsOf(changes: readonly Change[]): Tail[] {
  return Array.from({ length: PARTITIONS }, (_, partition) => {
    const its = changes.filter((change) => change.partition === partition)
    return {
      height: its.reduce((highest, { streamedTo }) => (streamedTo > highest ? streamedTo : highest), BEGINNING),
      last: newest(its.filter((change) => isStreamed(change))),
      marker: newest(its.filter((change) => change.op === 'm')),
      empty: its.length === 0,
    }
  })
}

/** By position: what a predecessor still wrote after it was replaced may stand behind it. */
function newest<T extends Change>(changes: readonly T[]): T | null {
  return changes.reduce<T | null>((best, each) => (best === null || each.position >= best.position ? each : best), null)
}

export async function runCapture(run: CaptureRun): Promise<Captured> {
  const registry = localRegistry(run.stateDirectory)
  const encoder = rawEncoder({ registry, topic: 'raw', namespace: 'incidents', database: 'test' })
  const decoder = rawDecoder(registry)
  const stop = new AbortController()
  const captured: Captured = { changes: [], bytes: [] }
  const { before = [] } = run
  const topic = async (): Promise<readonly Change[]> => (typeof before === 'function' ? before() : before)
  const source: PostgresSource = {
    url: run.url,
    slot: run.name ?? 'incidents',
    publication: run.name ?? 'incidents',
    partitions: PARTITIONS,
    stateDirectory: run.stateDirectory,
    tails: async () => tailsOf(await topic()),
    history: async function* () {
      yield await topic()
    },
    accept: (table) => encoder.accept(table),
    warn: run.warn ?? (() => {}),
    ...(run.chunkBytes === undefined ? {} : { chunkBytes: run.chunkBytes }),
    reached: run.reached,
  }
  for await (const batch of postgresFeed(source, stop.signal)) {
    const messages = await encoder.encode(batch.items)
    const records = messages.map((message, i) => ({ ...message, offset: captured.changes.length + i }))
    const changes = await decoder.decode(records)
    await run.write?.(changes)
    captured.changes.push(...changes)
    captured.bytes.push(...messages.map(({ value }) => value!.subarray(5).toString('hex')))
    const acknowledged = run.acknowledge?.(batch.items) ?? true
    if (acknowledged === false) {
      stop.abort()
      break
    }
    if (acknowledged === true) await batch.ack()
    if (run.until(captured)) stop.abort()
  }
  return captured
}

export async function temporaryDirectory(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'incidents-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}
