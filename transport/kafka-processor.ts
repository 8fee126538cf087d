/** Read, process, write: one transaction for each partition's piece, so that outputs and place are one. */
import type { Place, Places } from '../core/place.ts'
import { brokerError, isFenced, passes } from './kafka-retry.ts'
import { kafkaReader } from './kafka-reader.ts'
import { transactions, type Transactions } from './kafka-transaction.ts'
import type { Client } from './kafkajs.ts'
import type { Message, Output, Processor, ReadOptions, Topic } from './topic.ts'

export interface ProcessorOptions {
  readonly client: Client
  readonly source: Topic
  readonly options: Omit<ReadOptions, 'places'>
  /** Before the group and the partition in a transactional id. */
  readonly transactionalPrefix: string
  readonly commitMs: number
  readonly patienceMs: number
  /** Of these partitions only: another's may be held by a transaction that waits for this one. */
  committed(partitions: readonly number[]): Promise<Places>
  /** RECORD_TOO_LARGE when one of them is; a TypeError when the topic has not been opened. */
  check(topic: string, messages: readonly Message[]): void
  /** Where outputs may go: all topics that are open but the source. */
  targets(): readonly string[]
  maxMessageBytes(topic: string): number
}

interface Held {
  readonly transactions: Transactions
  /** What the group has committed in this partition; null before its first commit. */
  place: Place | null
}

export function kafkaProcessor(given: ProcessorOptions): Processor {
  const { client, source, options, patienceMs } = given
  const { group, signal } = options
  const held = new Map<number, Held>()
  const inFlight = new Set<Promise<void>>()
  const patience = () => ({ until: performance.now() + patienceMs, signal })

  /** The transactional producers first: that ends what predecessors left open, and then the places stand still. */
  async function assign(partitions: readonly number[]): Promise<Places> {
    await Promise.allSettled(inFlight)
    for (const [partition, each] of held) {
      if (partitions.includes(partition)) continue
      held.delete(partition)
      await each.transactions.close()
    }
    await Promise.all(
      partitions.map(async (partition) => {
        const each = held.get(partition) ?? { transactions: openTransactions(partition), place: null }
        held.set(partition, each)
        await each.transactions.begin(patience())
      }),
    )
    const places = await given.committed(partitions)
    for (const [partition, each] of held) each.place = places.get(partition) ?? null
    return places
  }

  function openTransactions(partition: number): Transactions {
    return transactions({
      client,
      transactionalId: `${given.transactionalPrefix}-${group}-${partition}`,
      group,
      topic: source.name,
      partition,
      targets: given.targets,
      maxMessageBytes: given.maxMessageBytes,
    })
  }

  const reader = kafkaReader({
    client,
    topic: source.name,
    options,
    patienceMs,
    paceMs: given.commitMs,
    commits: false,
    places: assign,
  })

  async function* feed(): Processor['feed'] {
    try {
      yield* reader.feed
    } finally {
      await Promise.allSettled(inFlight)
      await Promise.all(held.values().map((each) => each.transactions.close()))
      held.clear()
    }
  }

  /**
   * Until it is committed, or another process has the partition: that one reads these records again. After a fault
   * nobody knows whether the transaction was committed; a new begin settles it, and the committed place says how.
   */
  async function commit(partition: number, outputs: readonly Output[]): Promise<void> {
    const messages = byTopic(outputs)
    const place = outputs.at(-1)!.place
    const { until } = patience()
    while (reader.owns(partition)) {
      const each = held.get(partition)!
      try {
        await each.transactions.commit(messages, place, { until, signal })
        each.place = place
        return
      } catch (error) {
        if (!reader.owns(partition)) return
        if (isFenced(error) ? !(await reader.verify()) : !passes(error) || performance.now() > until) {
          reader.restart()
          if (isFenced(error)) return
          await each.transactions.begin(patience()) // ends the transaction: readers wait for it
          throw error
        }
        await each.transactions.begin(patience())
        const committed = (await given.committed([partition])).get(partition) ?? null
        if (same(committed, place)) {
          each.place = place
          return
        }
        if (!same(committed, each.place)) reader.restart() // another process was here meanwhile
      }
    }
  }

  async function write(outputs: readonly Output[]): Promise<void> {
    for (const [topic, messages] of byTopic(outputs)) given.check(topic, messages)
    const ends = await Promise.allSettled(
      Map.groupBy(outputs, ({ partition }) => partition)
        .entries()
        .map(([partition, mine]) => {
          const running = commit(partition, mine)
          inFlight.add(running)
          return running.finally(() => inFlight.delete(running))
        }),
    )
    for (const each of ends) {
      if (each.status === 'rejected' && !signal.aborted) {
        throw brokerError(client.brokers, `commit a transaction of group ${group}`, each.reason)
      }
    }
  }

  return { feed: feed(), sink: { write } }
}

function byTopic(outputs: readonly Output[]): Map<string, readonly Message[]> {
  const found = new Map<string, Message[]>()
  for (const { messages } of outputs) {
    for (const { topic, message } of messages) {
      const group = found.get(topic)
      if (group === undefined) found.set(topic, [message])
      else group.push(message)
    }
  }
  return found
}

function same(a: Place | null, b: Place | null): boolean {
  return a?.next === b?.next && a?.height === b?.height
}
