/**
 * Acknowledgements that end with their feed. Whoever reads ahead may acknowledge a batch once the feed has failed, when
 * what the acknowledgement would be noted in is closed: such a batch comes again.
 */
import type { Feed } from '../../core/feed.ts'

export interface Acks {
  /** The feed, its acknowledgements without effect once it is over. */
  of<T>(feed: Feed<T>): Feed<T>
  /** None begins after this; resolves when those that have begun are through. */
  end(): Promise<void>
}

export function openAcks(): Acks {
  const running = new Set<Promise<void>>()
  let over = false

  async function run(ack: () => Promise<void>): Promise<void> {
    if (over) return
    const acking = ack()
    running.add(acking)
    await acking.finally(() => running.delete(acking))
  }

  return {
    of: async function* (feed) {
      for await (const { items, ack } of feed) yield { items, ack: () => run(ack) }
    },
    end: async () => {
      over = true
      await Promise.allSettled(running)
    },
  }
}
