/** Topics without a broker: logs in one SQLite file, for one process. */
import { setImmediate } from 'node:timers/promises'
import { PipelineError } from '../core/error.ts'
import { openTopicFile } from './embedded-file.ts'
import { openLogs, type Log } from './embedded-log.ts'
import { openPlaces } from './embedded-places.ts'
import { pruner } from './embedded-prune.ts'
import { readEmbedded } from './embedded-reader.ts'
import { room } from './embedded-room.ts'
import { wakers } from './embedded-wakers.ts'
import type { Message, Output, Topic, TopicSettings, Transport } from './topic.ts'

/** Of one page that is read outside a group. */
const PAGE_BYTES = 1 << 20
/** How often what nobody needs any more is removed. */
const PRUNE_MS = 60_000

export interface EmbeddedOptions {
  /** Holds `topics.sqlite`; made if it is missing. */
  readonly directory: string
  /** Of every topic. */
  readonly partitions: number
  /** How large the file may become before writes wait for readers. */
  readonly maxBytes: number
}

export interface EmbeddedStatus {
  /** What the records take, and may take. */
  readonly bytes: number
  readonly maxBytes: number
  /** Since when a write waits for room (milliseconds since the Unix epoch); null when none does. */
  readonly fullSince: number | null
}

export interface EmbeddedTransport extends Transport {
  status(): EmbeddedStatus
  /** Removes now what nobody needs any more; resolves with how many records went. */
  prune(): Promise<number>
}

/**
 * Opens the topics of a state directory. A `write` is one transaction and resolves after its commit.
 *
 * When the file has reached `maxBytes`, writes wait until readers and time have made room, so that the source is held
 * back. What readers write to get on (a processor's outputs, topics that delete by age) does not wait: else a full
 * file could never be emptied.
 *
 * STATE_VERSION when a newer version wrote the file; DISK_FULL, STATE_LOCKED, SINK and SINK_FOREIGN for what is wrong
 * with it.
 */
export async function embeddedTransport(options: EmbeddedOptions): Promise<EmbeddedTransport> {
  const file = openTopicFile(options.directory)
  const store = openLogs(file)
  const places = openPlaces(file)
  const waiting = wakers()
  const closing = new AbortController()
  const opened = new Map<string, { readonly settings: TopicSettings; readonly logs: readonly Log[] }>()

  const remover = pruner(file, places)
  let pruning: Promise<number> | null = null
  const prune = (): Promise<number> =>
    (pruning ??= remover.prune(opened.values(), closing.signal).finally(() => (pruning = null)))
  // What is wrong with the file is reported by the next write.
  const timer = setInterval(() => void prune().catch(() => {}), PRUNE_MS).unref()
  const space = room({
    path: file.path,
    maxBytes: options.maxBytes,
    used: () => file.bytes(),
    prune,
    signal: closing.signal,
  })

  function logsOf(settings: TopicSettings): readonly Log[] {
    const found = store.of(settings.name)
    if (found.length === 0) {
      file.transaction(() => store.create(settings.name, options.partitions))
      return store.of(settings.name)
    }
    if (found.length === options.partitions) return found
    throw new PipelineError(
      'TOPIC',
      `The topic ${settings.name} in ${file.path} has ${found.length} partitions, not ${options.partitions}.`,
      `Start with the ${found.length} partitions that it was made with, or move the file away and take a new snapshot.`,
    )
  }

  function target(name: string): { readonly settings: TopicSettings; readonly logs: readonly Log[] } {
    const found = opened.get(name)
    if (found === undefined) throw new TypeError(`topic ${name} was not opened`)
    return found
  }

  function write(settings: TopicSettings, logs: readonly Log[], messages: readonly Message[]): void {
    const appended = file.transaction(() => ({
      acked: places.take(),
      records: store.append(logs, messages),
    }))
    appended.acked.done()
    appended.records.commit()
    waiting.wake(settings.name)
  }

  function writeOutputs(source: Topic, group: string, outputs: readonly Output[]): void {
    const messages = new Map<string, Message[]>()
    for (const each of outputs.flatMap((output) => output.messages)) {
      const list = messages.get(each.topic)
      if (list === undefined) messages.set(each.topic, [each.message])
      else list.push(each.message)
    }
    for (const [name, list] of messages) checkSizes(target(name).settings, list)
    const appended = file.transaction(() => {
      for (const { partition, place } of outputs) places.put(source.name, group, partition, place)
      return [...messages].map(([name, list]) => store.append(target(name).logs, list))
    })
    for (const each of appended) each.commit()
    for (const name of messages.keys()) waiting.wake(name)
  }

  function topic(settings: TopicSettings): Topic {
    const { name } = settings
    const { logs } = opened.get(name) ?? { logs: logsOf(settings) }
    opened.set(name, { settings, logs })
    return {
      name,
      partitions: logs.length,
      write: async (messages) => {
        if (messages.length === 0) return
        const bytes = checkSizes(settings, messages)
        const append = (): void => write(settings, logs, messages)
        if (settings.cleanup === 'compact') await space.take(bytes, append)
        else append()
        await setImmediate() // a writer in a loop leaves others their turn
      },
      read: (given) =>
        readEmbedded({
          topic: name,
          logs,
          store,
          wakers: waiting,
          options: { ...given, signal: AbortSignal.any([given.signal, closing.signal]) },
          places: (partitions) => given.places?.(partitions) ?? places.committed(name, given.group),
          ack: (partition, next) => places.ack(name, given.group, partition, next),
        }),
      tail: async (partition, count) => {
        store.refresh(name, logs)
        return store.last(logs[partition]!, count)
      },
      page: async (partition, from, to) => {
        const log = logs[partition]!
        store.refresh(name, logs)
        const { records } = store.page(log, from, PAGE_BYTES, to)
        await setImmediate()
        return { records, next: (records.at(-1)?.offset ?? to - 1) + 1 }
      },
      bounds: async () => {
        store.refresh(name, logs)
        return logs.map((log) => ({ low: store.low(log), high: log.next }))
      },
    }
  }

  return {
    topic: async (settings) => topic(settings),
    process: async (source, given) => ({
      feed: readEmbedded({
        topic: source.name,
        logs: target(source.name).logs,
        store,
        wakers: waiting,
        options: { ...given, signal: AbortSignal.any([given.signal, closing.signal]) },
        places: () => places.committed(source.name, given.group),
        ack: () => {},
      }),
      sink: {
        write: async (outputs: readonly Output[]) => {
          writeOutputs(source, given.group, outputs)
          await setImmediate()
        },
      },
    }),
    committed: async (group, { name }) => places.committed(name, group),
    status: () => ({ bytes: file.bytes(), maxBytes: options.maxBytes, fullSince: space.fullSince() }),
    prune,
    close: async () => {
      if (closing.signal.aborted) return
      clearInterval(timer)
      closing.abort()
      await pruning?.catch(() => {})
      places.close()
      try {
        places.flush()
      } finally {
        file.close()
      }
    },
  }
}

/** The bytes of the messages; RECORD_TOO_LARGE when one is larger than the topic takes. */
function checkSizes({ name, maxMessageBytes }: TopicSettings, messages: readonly Message[]): number {
  let bytes = 0
  for (const { key, value, partition } of messages) {
    const size = key.length + (value?.length ?? 0)
    bytes += size
    if (size <= maxMessageBytes) continue
    throw new PipelineError(
      'RECORD_TOO_LARGE',
      `A record of ${size} bytes for ${name} partition ${partition} is larger than the ${maxMessageBytes} bytes that the topic takes.`,
      'Raise the maxMessageBytes of the topic, or leave the record out.',
    )
  }
  return bytes
}
