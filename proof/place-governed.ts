/** The governed topic: rows as a consumer has them that folds by key and position. */
import { ENTITIES, type Entity } from '../core/incident.ts'
import type { Received } from '../core/message.ts'
import { governedDecoder } from '../schemas/governed-decoder.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import type { Registry } from '../schemas/registry.ts'
import { fieldCell } from './canonical.ts'
import type { TopicRow } from './place-topic.ts'
import { decodeReadable } from './topic-scan.ts'

export interface GovernedReaderOptions {
  readonly registry: Registry
  readonly projections: Projections
  readonly unreadable: (record: Received) => void
}

interface Last {
  readonly id: string
  readonly position: string
}

export function governedRows({ registry, projections, unreadable }: GovernedReaderOptions) {
  const decoder = governedDecoder(registry)
  const kinds = new Map(ENTITIES.map((entity, i): [Entity, number] => [entity, i]))

  return () => {
    /** A tombstone has no position: it stands behind the last state of its row. */
    const last = new Map<number, Last>()
    let seen = 0
    return async (records: readonly Received[]): Promise<readonly TopicRow[]> => {
      const found = await decodeReadable(records, (some) => decoder.rows(some), unreadable)
      return found.flatMap(({ item: { entity, id, deleted, state }, record }): TopicRow | [] => {
        const before = last.get(record.partition)
        if (state === null && before?.id !== id) return [] // its last state was compacted away, and everything before it
        const position = state?.position ?? before!.position
        last.set(record.partition, { id, position })
        const cells =
          state === null || deleted ? null : projections[entity].fields.map(({ name }) => fieldCell(state.fields[name]))
        return {
          kind: kinds.get(entity)!,
          key: id,
          record,
          order: position + (seen++).toString(36).padStart(8, '0'),
          cells,
          at: { text: position, lsn: state?.lsn ?? 0, txId: state?.txId ?? 0 },
        }
      })
    }
  }
}
