/**
 * The order of a flush. Partitions are read side by side, and DPR's files are read one after the other: within a flush
 * all partitions are brought back into the order of commits.
 */
import { keyText, tableName, type RowChange } from '../core/change.ts'
import type { IncidentChange } from '../core/incident.ts'
import { sameTransaction } from '../core/position.ts'

/** The items of several partitions in the order of their positions; within a partition nothing changes place. */
export function inCommitOrder(items: readonly IncidentChange[]): readonly IncidentChange[] {
  const queues = byPartition(items)
  if (queues.length < 2) return items
  const ordered: IncidentChange[] = []
  while (queues.length > 1) {
    queues.sort((a, b) => (headOf(a) < headOf(b) ? -1 : 1))
    const [first, second] = queues as [Queue, Queue]
    const until = headOf(second)
    do ordered.push(first.items[first.at++]!)
    while (first.at < first.items.length && headOf(first) <= until)
    if (first.at === first.items.length) queues.shift()
  }
  const [rest] = queues as [Queue]
  for (; rest.at < rest.items.length; rest.at++) ordered.push(rest.items[rest.at]!)
  return ordered
}

interface Queue {
  readonly items: IncidentChange[]
  at: number
}

function headOf(queue: Queue): string {
  return queue.items[queue.at]!.change.position
}

function byPartition(items: readonly IncidentChange[]): Queue[] {
  const queues = new Map<number, Queue>()
  for (const item of items) {
    const queue = queues.get(item.change.partition)
    if (queue === undefined) queues.set(item.change.partition, { items: [item], at: 0 })
    else queue.items.push(item)
  }
  return [...queues.values()]
}

/**
 * Whether the two are halves of one update that moved a row to another incident: the delete under the old and the
 * insert under the new come from one WAL record and have one primary key. DPR knows no incidents: to it, the row was
 * updated.
 */
export function isMove(gone: RowChange, come: RowChange): boolean {
  return (
    gone.op === 'd' &&
    come.op === 'c' &&
    gone.lsn === come.lsn &&
    sameTransaction(gone.position, come.position) &&
    tableName(gone.table) === tableName(come.table) &&
    keyText(gone.table, gone.before!) === keyText(come.table, come.after!)
  )
}

/**
 * What lies before the end of the first snapshot in its partition, the marker that says it included, and what lies
 * behind. Only after a crash in the snapshot is something streamed before its end; it stays where it is, since a place
 * is one offset.
 */
export function splitAtLoad(
  items: readonly IncidentChange[],
  loaded: (partition: number) => boolean,
): { load: IncidentChange[]; rest: IncidentChange[] } {
  const load: IncidentChange[] = []
  const rest: IncidentChange[] = []
  const behind = new Set<number>()
  for (const item of items) {
    const { partition } = item.change
    if (behind.has(partition) || loaded(partition)) {
      rest.push(item)
      continue
    }
    load.push(item)
    if (item.change.op === 'm' && item.change.snapshotDone) behind.add(partition)
  }
  return { load, rest }
}
