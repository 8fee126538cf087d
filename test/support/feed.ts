/** A feed that a test fills by hand, and that notes what was acknowledged. */
import type { Batch, Feed } from '../../core/feed.ts'

export interface HandFedFeed<T> {
  readonly feed: Feed<T>
  /** Names of the batches that were acknowledged, in order. */
  readonly acked: string[]
  /** Names of the batches that were asked for. */
  readonly taken: string[]
  give(name: string, ...items: readonly T[]): void
  end(): void
  fail(error: Error): void
  /** Whether the reader has closed it. */
  closed(): boolean
}

export function handFed<T>(): HandFedFeed<T> {
  const acked: string[] = []
  const taken: string[] = []
  const waiting: { readonly name: string; readonly items: readonly T[] }[] = []
  let ended = false
  let failure: Error | null = null
  let closed = false
  let wake = (): void => {}

  async function* feed(): Feed<T> {
    try {
      while (true) {
        const next = waiting.shift()
        if (next !== undefined) {
          taken.push(next.name)
          yield { items: next.items, ack: async () => void acked.push(next.name) }
          continue
        }
        if (failure !== null) throw failure
        if (ended) return
        await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      closed = true
    }
  }

  return {
    feed: feed(),
    acked,
    taken,
    give: (name, ...items) => {
      waiting.push({ name, items })
      wake()
    },
    end: () => {
      ended = true
      wake()
    },
    fail: (error) => {
      failure = error
      wake()
    },
    closed: () => closed,
  }
}

/** All batches of a feed that ends, acknowledged as they come. */
export async function all<T>(feed: Feed<T>): Promise<(readonly T[])[]> {
  const batches: (readonly T[])[] = []
  for await (const batch of feed) {
    batches.push(batch.items)
    await batch.ack()
  }
  return batches
}

/** The next batch. */
export async function next<T>(feed: AsyncIterator<Batch<T>>): Promise<Batch<T>> {
  const { value, done } = await feed.next()
  if (done === true) throw new Error('the feed has ended')
  return value
}

export const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10))
