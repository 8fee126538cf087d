/** A raw topic's records, made once by capture, then written anywhere at a rate of one's own: a load without a database. */
import { isStreamed, type Change } from '../../core/change.ts'
import { sameTransaction, type Position } from '../../core/position.ts'
import type { Message, Received } from '../../core/message.ts'
import { rawDecoder } from '../../schemas/raw-decoder.ts'
import type { Registry } from '../../schemas/registry.ts'
import type { Topic } from '../../transport/topic.ts'

/** One source transaction: its records in the order of their positions. */
export interface RawEdit {
  readonly changes: readonly Change[]
  readonly messages: readonly Message[]
}

/** The streamed transactions among these records, in the order of their commits. */
export async function editsOf(records: readonly Received[], registry: Registry): Promise<readonly RawEdit[]> {
  const changes = await rawDecoder(registry).decode(records)
  const streamed = changes.flatMap((change, i) => (isStreamed(change) ? [{ change, record: records[i]! }] : []))
  streamed.sort((a, b) => (a.change.position < b.change.position ? -1 : 1))
  const edits: { readonly changes: Change[]; readonly messages: Message[] }[] = []
  let open: Position | null = null
  for (const { change, record } of streamed) {
    if (open === null || !sameTransaction(open, change.position)) edits.push({ changes: [], messages: [] })
    open = change.position
    edits.at(-1)!.changes.push(change)
    edits.at(-1)!.messages.push(record)
  }
  return edits
}

/** Everything behind these offsets, partition by partition. */
export async function recordsFrom(topic: Topic, starts: readonly number[]): Promise<Received[]> {
  const found: Received[] = []
  for (const [partition, { high }] of (await topic.bounds()).entries()) {
    for (let from = starts[partition]!; from < high;) {
      const { records, next } = await topic.page(partition, from, high)
      for (const record of records) found.push(record)
      from = next
    }
  }
  return found
}

export interface RawWriter {
  /** Transactions whose records are durable. */
  written(): number
  /** Resolves when the last one that was begun is durable; rejects with what a write failed with. */
  stop(): Promise<void>
  /** Resolves when all of them are. */
  readonly done: Promise<void>
}

/** Writes each transaction when it is due, at so many rows a second; what is due at once goes in one write. */
export function writeAtRate(
  raw: Topic,
  edits: readonly RawEdit[],
  perSecond: number,
  durable: (edit: RawEdit) => void = () => {},
): RawWriter {
  let stopped = false
  let next = 0
  async function write(): Promise<void> {
    const begun = performance.now()
    for (let rows = 0; next < edits.length && !stopped;) {
      const due = ((performance.now() - begun) / 1000) * perSecond
      const taken: RawEdit[] = []
      const messages: Message[] = []
      while (next + taken.length < edits.length && rows + messages.length < due) {
        const edit = edits[next + taken.length]!
        taken.push(edit)
        messages.push(...edit.messages)
      }
      if (messages.length > 0) await raw.write(messages)
      else await new Promise((resolve) => setTimeout(resolve, 1))
      for (const edit of taken) durable(edit)
      next += taken.length
      rows += messages.length
    }
  }
  const done = write()
  done.catch(() => {}) // told by stop
  return {
    written: () => next,
    stop: () => {
      stopped = true
      return done
    },
    done,
  }
}
