/** What unify is to leave of a raw topic's records, what a read-committed reader finds, and who shares the partitions. */
import { AssignerProtocol, Kafka, logLevel } from 'kafkajs'
import type { Change } from '../../core/change.ts'
import type { IncidentEvent } from '../../core/event.ts'
import type { Place, Places } from '../../core/place.ts'
import { BEGINNING } from '../../core/position.ts'
import { topicsOf, type Runtime } from '../../runtime.ts'
import { eventDecoder } from '../../schemas/events.ts'
import { governedDecoder } from '../../schemas/governed-decoder.ts'
import { eventFold } from '../../transforms/event.ts'
import { unify } from '../../transforms/unify.ts'
import type { Received } from '../../transport/topic.ts'
import { until } from './kafka-records.ts'
import type { RawEdit } from './raw-load.ts'

/** Who has how many partitions, as the brokers say. */
export async function watchGroup({ config, raw }: Runtime) {
  const kafka = new Kafka({ brokers: config.KAFKA_BROKERS!.split(','), logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  const shares = async (): Promise<number[]> => {
    const { groups } = await admin.describeGroups([`${config.NAMESPACE}.unify`])
    const [group] = groups
    if (group?.state !== 'Stable') return []
    return group.members.map(({ memberAssignment }) => {
      const assigned = AssignerProtocol.MemberAssignment.decode(memberAssignment)
      return assigned?.assignment[raw.name]?.length ?? 0
    })
  }
  return {
    /** Resolves when the partitions are shared like this. */
    shared: (wanted: readonly number[]) =>
      until(async () => String((await shares().catch(() => [])).toSorted((a, b) => a - b)) === String(wanted)),
    close: () => admin.disconnect(),
  }
}

/** A read-committed reader of both governed topics, from their beginning. */
export function readGoverned({ config, transport, registry, raw }: Runtime) {
  const stopping = new AbortController()
  const { signal } = stopping
  const rows: { readonly record: Received; readonly at: number }[] = []
  const told: Received[] = []
  const names = topicsOf(config)
  const read = async (name: 'unified' | 'events', take: (items: readonly Received[]) => void): Promise<void> => {
    const topic = await transport.topic(names[name])
    const group = `${config.NAMESPACE}.reader-of-${name}`
    const next = new Map<number, Place>()
    // it remembers where it is, as a reader does that keeps its place with its data
    const places = async (): Promise<Places> => next
    for await (const { items } of topic.read({ group, signal, aheadBytes: 1 << 20, places })) {
      take(items)
      for (const { partition, offset } of items) next.set(partition, { next: offset + 1, height: BEGINNING })
    }
  }
  const running = Promise.all([
    read('unified', (items) => {
      const at = performance.now()
      for (const record of items) rows.push({ record, at })
    }),
    read('events', (items) => told.push(...items)),
  ])
  running.catch(() => stopping.abort())
  const decoder = governedDecoder(registry)
  const decodeEvent = eventDecoder(registry)
  const positions = new Map<string, number>()

  return {
    rows,
    told,
    /** By partition, in order. */
    decoded: async (): Promise<string[][]> => {
      const found = byPartition(raw.partitions)
      const decoded = await decoder.rows(rows.map(({ record }) => record))
      for (const [i, { entity, id, deleted, state }] of decoded.entries()) {
        const { record, at } = rows[i]!
        if (state !== null) positions.set(state.position, at)
        found[record.partition]!.push(rowText(state?.position ?? 'tombstone', entity, id, deleted))
      }
      return found
    },
    events: async (): Promise<string[][]> => {
      const found = byPartition(raw.partitions)
      const decoded = await Promise.all(told.map((record) => decodeEvent.event(record)))
      for (const [i, event] of decoded.entries()) found[told[i]!.partition]!.push(eventText(event))
      return found
    },
    /** By position, of what has been decoded. */
    seenAt: (): ReadonlyMap<string, number> => positions,
    stop: async () => {
      stopping.abort()
      await running
    },
  }
}

const byPartition = (partitions: number): string[][] => Array.from({ length: partitions }, () => [])

const rowText = (position: string, entity: string, id: string, deleted: boolean): string =>
  `${position} ${deleted ? 'delete' : 'upsert'} ${entity} ${id}`

const eventText = ({ txId, eventType, additionalInformation: { source, reportReference } }: IncidentEvent): string =>
  `${txId} ${eventType} ${source} ${reportReference}`

function changesOf(written: readonly RawEdit[]): readonly Change[] {
  return written.flatMap(({ changes }) => changes)
}

/** A delete is its last known state, then a tombstone. */
export function expectedRows(written: readonly RawEdit[], partitions: number): string[][] {
  const found = byPartition(partitions)
  for (const change of changesOf(written)) {
    for (const { entity, id, op } of unify(change).rows) {
      found[change.partition]!.push(rowText(change.position, entity, id, op === 'delete'))
      if (op === 'delete') found[change.partition]!.push(rowText('tombstone', entity, id, true))
    }
  }
  return found
}

export function expectedEvents(written: readonly RawEdit[], partitions: number): string[][] {
  const folds = Array.from({ length: partitions }, () => eventFold())
  const found = byPartition(partitions)
  for (const change of changesOf(written)) {
    found[change.partition]!.push(...folds[change.partition]!.add(change).map(eventText))
  }
  return found
}
