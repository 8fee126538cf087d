/**
 * Feed, Sink and the one verb. "Durable first, acknowledged second" is written down here and nowhere else.
 */

/** A run of items that the upstream may forget together. A keepalive is a batch with no items. */
export interface Batch<T> {
  readonly items: readonly T[]
  /** Say that every item up to here is durable. Until then the upstream sends it again after a crash. */
  ack(): Promise<void>
}

export type Feed<T> = AsyncIterable<Batch<T>>

/** `write` resolves once the items would survive a crash; it accepts items that it has already seen. */
export interface Sink<T> {
  write(items: readonly T[]): Promise<void>
}

/** Move a feed into a sink: write, then acknowledge. */
export async function drain<T>(feed: Feed<T>, sink: Sink<T>): Promise<void> {
  for await (const batch of feed) {
    if (batch.items.length > 0) await sink.write(batch.items)
    await batch.ack()
  }
}

/** Each item becomes none, one or several; acknowledgement passes through untouched. */
export async function* map<A, B>(feed: Feed<A>, convert: (item: A) => B | readonly B[]): Feed<B> {
  for await (const batch of feed) {
    yield { items: batch.items.flatMap((item) => convert(item)), ack: () => batch.ack() }
  }
}

/** As `map`, for a batch at a time: where converting may have to wait. */
export async function* mapBatches<A, B>(
  feed: Feed<A>,
  convert: (items: readonly A[]) => Promise<readonly B[]>,
): Feed<B> {
  for await (const batch of feed) {
    yield { items: batch.items.length === 0 ? [] : await convert(batch.items), ack: () => batch.ack() }
  }
}

export interface Pieces<T> {
  readonly feed: Feed<T>
  /** What came of all pieces of a batch as one batch again. `feed` gives a batch for each piece. */
  joined<B>(feed: Feed<B>): Feed<B>
}

/**
 * Batches of at most so many items. What is made of a large batch on its way then need not be there all at once, and
 * dies young: half of what a hop costs can be the collection of what lived too long.
 */
export function pieces<T>(upstream: Feed<T>, most: number): Pieces<T> {
  /** Of the batch whose piece is on its way. */
  let left = 0

  async function* feed(): Feed<T> {
    for await (const batch of upstream) {
      const { items } = batch
      left = Math.max(1, Math.ceil(items.length / most))
      for (let from = 0; left > 0; from += most) {
        left -= 1
        yield { items: items.slice(from, from + most), ack: left === 0 ? () => batch.ack() : nothing }
      }
    }
  }

  async function* joined<B>(made: Feed<B>): Feed<B> {
    let open: Batch<B>[] = []
    for await (const batch of made) {
      open.push(batch)
      if (left > 0) continue
      const whole = open
      open = []
      yield {
        items: whole.flatMap(({ items }) => items),
        ack: async () => {
          for (const each of whole) await each.ack()
        },
      }
    }
  }
  return { feed: feed(), joined }
}

const nothing = (): Promise<void> => Promise.resolve()

/** One feed after the other: the snapshot, then the log. */
export async function* concat<T>(...feeds: readonly Feed<T>[]): Feed<T> {
  for (const feed of feeds) yield* feed
}
