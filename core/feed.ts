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

/** One feed after the other: the snapshot, then the log. */
export async function* concat<T>(...feeds: readonly Feed<T>[]): Feed<T> {
  for (const feed of feeds) yield* feed
}
