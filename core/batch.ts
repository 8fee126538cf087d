/** Reading ahead: a hop takes as long as its slower half, and a sink that likes big writes gets them. */
import type { Batch, Feed } from './feed.ts'

export interface BatchBounds<T> {
  /** How long the first item may wait for company; 0 gives whatever is there when the sink asks. */
  readonly ageMs: number
  /** How much may wait before the upstream is left alone. */
  readonly bytes: number
  size(item: T): number
  /**
   * Rises when what has been read so far no longer counts, because it is read again: such batches are left out, and
   * never acknowledged. Absent for a feed that never goes back.
   */
  epoch?(): number
}

/** Groups a feed's batches while the sink writes. Order and acknowledgement are the upstream's. */
export async function* batch<T>(feed: Feed<T>, bounds: BatchBounds<T>): Feed<T> {
  const upstream = feed[Symbol.asyncIterator]()
  let held: { readonly batch: Batch<T>; readonly epoch: number }[] = []
  const epoch = (): number => bounds.epoch?.() ?? 0
  let heldBytes = 0
  let firstAt = 0
  let ended = false
  let failure: { error: unknown } | null = null
  let wake = (): void => {}
  let resume = (): void => {}

  const pump = async (): Promise<void> => {
    try {
      while (true) {
        const { value, done } = await upstream.next()
        if (done === true) break
        if (held.length === 0) firstAt = performance.now()
        held.push({ batch: value, epoch: epoch() })
        for (const item of value.items) heldBytes += bounds.size(item)
        wake()
        if (heldBytes >= bounds.bytes) await new Promise<void>((resolve) => (resume = resolve))
      }
    } catch (error) {
      failure = { error }
    }
    ended = true
    wake()
  }
  void pump()

  try {
    while (true) {
      if (held.length === 0) {
        if (failure !== null) throw (failure as { error: unknown }).error
        if (ended) return
        await new Promise<void>((resolve) => (wake = resolve))
        continue
      }
      const wait = bounds.ageMs - (performance.now() - firstAt)
      if (wait > 0 && heldBytes < bounds.bytes && !ended) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, wait)
          wake = () => {
            clearTimeout(timer) // a busy feed wakes often: timers left behind would pile up
            resolve()
          }
        })
        continue
      }
      const now = epoch()
      const taken = held.filter((each) => each.epoch === now).map((each) => each.batch)
      held = []
      heldBytes = 0
      resume()
      if (taken.length === 0) continue
      yield {
        items: taken.length === 1 ? taken[0]!.items : taken.flatMap((each) => each.items),
        ack: async () => {
          for (const each of taken) await each.ack()
        },
      }
    }
  } finally {
    await upstream.return?.()
  }
}
