/** The governed topic: rows as a consumer has them that folds by key and position. */
import { ENTITIES, type Entity } from '../core/incident.ts'
import type { Received } from '../core/message.ts'
import { governedDecoder } from '../schemas/governed-decoder.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import type { Registry } from '../schemas/registry.ts'
import { fieldCell, GONE } from './canonical.ts'
import { governedMarkDecoder } from './governed-marks.ts'
import type { TopicMark, TopicRow } from './place-topic.ts'
import { decodeReadable } from './topic-scan.ts'

export interface GovernedReaderOptions {
  readonly registry: Registry
  readonly projections: Projections
  readonly unreadable: (record: Received) => void
}

export function governedRows({ registry, projections, unreadable }: GovernedReaderOptions) {
  const decoder = governedDecoder(registry)
  const kinds = new Map(ENTITIES.map((entity, i): [Entity, number] => [entity, i]))

  return () => {
    const positionOf = positions()
    return async (records: readonly Received[]): Promise<readonly TopicRow[]> => {
      const found = await decodeReadable(records, (some) => decoder.rows(some), unreadable)
      return found.flatMap(({ item: { entity, id, deleted, state }, record }): TopicRow | [] => {
        const position = positionOf(record.partition, id, state?.position ?? null)
        if (position === null) return []
        const { fields } = projections[entity]
        return {
          kind: kinds.get(entity)!,
          key: id,
          record,
          position,
          cells: state === null || deleted ? null : fields.map(({ name, type }) => fieldCell(state.fields[name], type)),
          at: { text: position, lsn: state?.lsn ?? 0, txId: state?.txId ?? 0 },
        }
      })
    }
  }
}

/** As {@link governedRows}, but of each row the hash alone, worked out from the record's bytes. */
export function governedMarks({ registry, projections, unreadable }: GovernedReaderOptions) {
  const decode = governedMarkDecoder(registry, projections)

  return () => {
    const positionOf = positions()
    return async (records: readonly Received[]): Promise<readonly TopicMark[]> => {
      const found = await decodeReadable(records, decode, unreadable)
      return found.flatMap(({ item: { kind, id, state }, record }): TopicMark | [] => {
        const position = positionOf(record.partition, id, state?.position ?? null)
        return position === null ? [] : { kind, key: id, record, position, digest: state?.digest ?? GONE }
      })
    }
  }
}

/**
 * A record's position. A tombstone has none: it stands behind the last state of its row. Null where that was compacted away,
 * and everything before it.
 */
function positions(): (partition: number, id: string, position: string | null) => string | null {
  const last = new Map<number, { readonly id: string; readonly position: string }>()
  return (partition, id, itsOwn) => {
    const before = last.get(partition)
    const position = itsOwn ?? (before?.id === id ? before.position : null)
    if (position !== null) last.set(partition, { id, position })
    return position
  }
}
