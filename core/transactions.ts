/**
 * What every reader of the raw topic does first: drop what it has seen, and hand on whole transactions.
 *
 * After a takeover the old capture's last batches may arrive behind the tail that its successor read; so a streamed
 * change whose position is not above the highest seen in its partition is dropped.
 */
import { isStreamed, type Change } from './change.ts'
import type { Batch, Feed } from './feed.ts'
import { BEGINNING, sameTransaction, type Position } from './position.ts'

export interface Transactions {
  /** Each batch holds whole transactions, but for one that is larger than the bound: its pieces are not acknowledged. */
  readonly feed: Feed<Change>
  /** The partition is read again from a place with this height: what is held of it is forgotten. */
  restart(partition: number, height: Position): void
}

interface Held {
  readonly change: Change
  readonly owner: Owner
}

/** An upstream batch, acknowledged when everything of it has been handed on. */
interface Owner {
  readonly batch: Batch<Change>
  waiting: number
}

export function wholeTransactions(upstream: Feed<Change>, maxBytes: number): Transactions {
  const heights = new Map<number, Position>()
  const open = new Map<number, Held[]>()
  let openBytes = 0
  /** Partitions whose transaction has been handed on in part. */
  const midway = new Set<number>()
  const owners: Owner[] = []

  function restart(partition: number, height: Position): void {
    heights.set(partition, height)
    for (const { change, owner } of open.get(partition) ?? []) {
      owner.waiting -= 1
      openBytes -= change.bytes
    }
    open.delete(partition)
    midway.delete(partition)
  }

  function seen(change: Change): boolean {
    if (!isStreamed(change)) return false
    if (change.position <= (heights.get(change.partition) ?? BEGINNING)) return true
    heights.set(change.partition, change.position)
    return false
  }

  function release(partition: number, ready: Held[]): void {
    for (const each of open.get(partition) ?? []) {
      ready.push(each)
      openBytes -= each.change.bytes
    }
    open.delete(partition)
  }

  function take(change: Change, owner: Owner, ready: Held[]): void {
    if (seen(change)) {
      owner.waiting -= 1
      return
    }
    const begun = open.get(change.partition)
    const last = begun?.at(-1)
    if (last !== undefined && change.op === 'm' && change.position < last.change.position) {
      owner.waiting -= 1 // of a capture that was replaced: it knows less than what is open, and must not end it
      return
    }
    if (begun !== undefined && last !== undefined && !sameTransaction(last.change.position, change.position)) {
      begun[begun.length - 1] = { ...last, change: ended(last.change) }
      release(change.partition, ready)
    }
    const held = { change, owner }
    const group = open.get(change.partition)
    if (group === undefined) open.set(change.partition, [held])
    else group.push(held)
    openBytes += change.bytes
    if (!ends(change)) return
    release(change.partition, ready)
    midway.delete(change.partition)
  }

  async function* feed(): Feed<Change> {
    for await (const batch of upstream) {
      const owner: Owner = { batch, waiting: batch.items.length }
      owners.push(owner)
      const ready: Held[] = []
      for (const change of batch.items) {
        take(change, owner, ready)
        if (openBytes <= maxBytes) continue
        const partition = largest(open)
        release(partition, ready)
        midway.add(partition)
      }
      for (const { owner: each } of ready) each.waiting -= 1
      const done: Owner[] = []
      while (midway.size === 0 && owners[0]?.waiting === 0) done.push(owners.shift()!)
      yield {
        items: ready.map((each) => each.change),
        ack: async () => {
          for (const each of done) await each.batch.ack()
        },
      }
    }
  }
  return { feed: feed(), restart }
}

/** The partition that holds most: the others' transactions stay whole. */
function largest(open: ReadonlyMap<number, readonly Held[]>): number {
  let found = { partition: -1, bytes: -1 }
  for (const [partition, held] of open) {
    const bytes = held.reduce((sum, { change }) => sum + change.bytes, 0)
    if (bytes > found.bytes) found = { partition, bytes }
  }
  return found.partition
}

/** A copy, with the prototype: a change may read its images when they are asked for. */
function ended(change: Change): Change {
  const copy = Object.create(Object.getPrototypeOf(change) as object | null) as Change
  return Object.assign(copy, change, { lastInTransaction: true })
}

function ends(change: Change): boolean {
  return change.lastInTransaction || !isStreamed(change)
}
