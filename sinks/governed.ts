/**
 * What the governed topics get: unified rows, domain events and dead letters, committed together with the place in the
 * raw topic.
 *
 * A transaction that is too large for one write leaves its rows piece by piece, and its events with the last piece. The
 * place of the pieces before names its first record: whoever goes on after a crash reads from there once more, for the
 * events alone.
 */
import { isStreamed, type Change } from '../core/change.ts'
import type { Sink } from '../core/feed.ts'
import type { IncidentChange } from '../core/incident.ts'
import type { Output } from '../core/message.ts'
import type { Place } from '../core/place.ts'
import { BEGINNING, sameTransaction, type Position } from '../core/position.ts'
import { deadLetter, type DeadLetterCodec } from '../schemas/dead-letter.ts'
import type { EventCodec } from '../schemas/events.ts'
import type { GovernedCodec } from '../schemas/governed.ts'
import { eventFold, type EventFold } from '../transforms/event.ts'

export interface GovernedOptions {
  readonly rows: GovernedCodec
  readonly events: EventCodec
  readonly letters: DeadLetterCodec
  readonly topics: {
    readonly raw: string
    readonly unified: string
    readonly events: string
    readonly deadLetters: string
  }
}

export interface GovernedOutputs {
  /** The partition is read from this place on. */
  restart(partition: number, place: Place): void
  /** One for each partition: its records, or dead letters, and the place behind them. */
  outputs(items: readonly IncidentChange[]): Output[]
}

export interface GovernedSink extends GovernedOutputs, Sink<IncidentChange> {}

/** As {@link governedOutputs}, into a target that commits outputs and place together. */
export function governedTopics({
  target,
  ...options
}: GovernedOptions & { readonly target: Sink<Output> }): GovernedSink {
  const made = governedOutputs(options)
  return { ...made, write: async (items) => target.write(made.outputs(items)) }
}

interface Partition {
  place: Place
  readonly events: EventFold
}

/** Given transactions in order per partition. Each change leaves its rows' records, or its dead letter. */
export function governedOutputs({ rows, events, letters, topics }: GovernedOptions): GovernedOutputs {
  const partitions = new Map<number, Partition>()

  function restart(partition: number, place: Place): Partition {
    const begun = { place, events: eventFold() }
    partitions.set(partition, begun)
    return begun
  }

  function output(partition: number, items: readonly IncidentChange[]): Output {
    const state = partitions.get(partition) ?? restart(partition, { next: 0, height: BEGINNING })
    const messages: Output['messages'][number][] = []
    for (const [i, item] of items.entries()) {
      for (const event of state.events.add(item.change)) {
        messages.push({ topic: topics.events, message: events.message(event, partition) })
      }
      if (item.change.offset >= state.place.next) addRecords(messages, item, isLastWithRows(items, i))
    }
    state.place = placeBehind(state, items)
    return { partition, place: state.place, messages }
  }

  function addRecords(messages: Output['messages'][number][], item: IncidentChange, last: boolean): void {
    const { change, refusal } = item
    if (refusal !== null && change.op !== 'm') {
      const letter = deadLetter(topics.raw, change, refusal)
      messages.push({
        topic: topics.deadLetters,
        message: letters.message(letter, Math.floor(change.committedAt / 1000)),
      })
    }
    if (item.rows.length === 0) return
    for (const message of rows.messages(item, last)) messages.push({ topic: topics.unified, message })
  }

  return {
    restart: (partition, place) => void restart(partition, place),
    outputs: (items) =>
      [...Map.groupBy(items, (item) => item.change.partition)].map(([partition, its]) => output(partition, its)),
  }
}

function placeBehind({ place, events }: Partition, items: readonly IncidentChange[]): Place {
  const next = Math.max(place.next, items.at(-1)!.change.offset + 1)
  const height = items.reduce((highest, { change }) => newer(highest, change), place.height)
  const resume = events.openSince()
  return resume === null ? { next, height } : { next, height, resume }
}

/** Whether no later change of the same transaction has rows. */
function isLastWithRows(items: readonly IncidentChange[], i: number): boolean {
  const { change } = items[i]!
  // read outside the stream, each is a transaction of its own, although a snapshot's rows have their position in common
  if (!isStreamed(change)) return true
  for (let next = i + 1; next < items.length; next++) {
    const later = items[next]!
    if (!sameTransaction(later.change.position, change.position)) break
    if (later.rows.length > 0) return false
    if (later.change.lastInTransaction) return true
  }
  return items[i + 1] !== undefined || change.lastInTransaction
}

function newer(height: Position, change: Change): Position {
  return isStreamed(change) && change.position > height ? change.position : height
}
