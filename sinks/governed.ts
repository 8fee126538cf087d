/** The governed topics as a sink: unified rows and dead letters, committed together with the place in the raw topic. */
import type { Change } from '../core/change.ts'
import type { Sink } from '../core/feed.ts'
import type { IncidentChange } from '../core/incident.ts'
import type { Output } from '../core/message.ts'
import type { Place } from '../core/place.ts'
import { BEGINNING, sameTransaction, type Position } from '../core/position.ts'
import { deadLetter, type DeadLetterCodec } from '../schemas/dead-letter.ts'
import type { GovernedCodec } from '../schemas/governed.ts'

export interface GovernedOptions {
  readonly rows: GovernedCodec
  readonly letters: DeadLetterCodec
  readonly topics: { readonly raw: string; readonly unified: string; readonly deadLetters: string }
  /** Commits outputs and place together. */
  readonly target: Sink<Output>
}

export interface GovernedSink extends Sink<IncidentChange> {
  /** The partition is read from this place on. */
  restart(partition: number, place: Place): void
}

/** Given whole transactions in order per partition. Each change leaves its rows' records, or its dead letter. */
export function governedTopics({ rows, letters, topics, target }: GovernedOptions): GovernedSink {
  const places = new Map<number, Place>()

  function placeOf(partition: number): Place {
    return places.get(partition) ?? { next: 0, height: BEGINNING }
  }

  function output(partition: number, items: readonly IncidentChange[]): Output {
    const messages: Output['messages'][number][] = []
    for (const [i, item] of items.entries()) {
      const { change, refusal } = item
      if (refusal !== null && change.op !== 'm') {
        const letter = deadLetter(topics.raw, change, refusal)
        messages.push({ topic: topics.deadLetters, message: letters.message(letter, change.committedAt / 1000) })
      }
      if (item.rows.length === 0) continue
      for (const message of rows.messages(item, isLastWithRows(items, i)))
        messages.push({ topic: topics.unified, message })
    }
    const height = items.reduce((highest, { change }) => newer(highest, change), placeOf(partition).height)
    const place = { next: items.at(-1)!.change.offset + 1, height }
    places.set(partition, place)
    return { partition, place, messages }
  }

  return {
    restart: (partition, place) => places.set(partition, place),
    write: async (items) => {
      const byPartition = Map.groupBy(items, (item) => item.change.partition)
      await target.write([...byPartition].map(([partition, its]) => output(partition, its)))
    },
  }
}

/** Whether no later change of the same transaction has rows. */
function isLastWithRows(items: readonly IncidentChange[], i: number): boolean {
  const { change } = items[i]!
  for (let next = i + 1; next < items.length; next++) {
    const later = items[next]!
    if (!sameTransaction(later.change.position, change.position)) break
    if (later.rows.length > 0) return false
    if (later.change.lastInTransaction) return true
  }
  return change.op === 'r' || items[i + 1] !== undefined || change.lastInTransaction
}

function newer(height: Position, change: Change): Position {
  const streamed = change.op === 'c' || change.op === 'u' || change.op === 'd'
  return streamed && change.position > height ? change.position : height
}
