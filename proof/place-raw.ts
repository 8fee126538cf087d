/** The raw topic: by position, streamed changes that stand behind a newer one left out, as its readers fold it. */
import { image, isStreamed, tableName, type Change, type Table } from '../core/change.ts'
import { BEGINNING, type Position } from '../core/position.ts'
import { rawDecoder } from '../schemas/raw-decoder.ts'
import type { Registry } from '../schemas/registry.ts'
import type { Received } from '../core/message.ts'
import { valueCell } from './canonical.ts'
import type { TopicRow } from './place-topic.ts'
import { keyOf } from './source-keys.ts'
import { decodeReadable } from './topic-scan.ts'

export interface RawReaderOptions {
  readonly registry: Registry
  /** The source's tables: their order gives the kinds. */
  readonly tables: readonly Table[]
  readonly unreadable: (record: Received) => void
  /** Told every change that counts, markers apart. */
  readonly each?: (change: Exclude<Change, { op: 'm' }>) => void
}

export function rawRows({ registry, tables, unreadable, each }: RawReaderOptions) {
  const decoder = rawDecoder(registry)
  // a row without a key cannot be looked up again
  const kinds = new Map(tables.flatMap((table, i) => (table.key.length === 0 ? [] : [[tableName(table), i] as const])))
  /** A record's table object is one for each schema. */
  const kindOf = new WeakMap<Table, number | null>()

  return () => {
    const heights = new Map<number, Position>()
    let seen = 0

    function rowOf(change: Change, record: Received): TopicRow | null {
      if (change.op === 'm') return null
      if (isStreamed(change)) {
        if (change.position <= (heights.get(change.partition) ?? BEGINNING)) return null
        heights.set(change.partition, change.position)
      }
      each?.(change)
      let kind = kindOf.get(change.table)
      if (kind === undefined) {
        kind = kinds.get(tableName(change.table)) ?? null
        kindOf.set(change.table, kind)
      }
      if (kind === null) return null
      const { after } = change
      // columns in the source's order, whatever the record's schema had
      const cells = after === null ? null : tables[kind]!.columns.map(({ name }) => valueCell(after[name]))
      return {
        kind,
        key: keyOf(change.table, image(change)),
        record,
        // of two records with one position the first counts
        order: change.position + (LAST - seen++).toString(36).padStart(8, '0'),
        cells,
        at: { text: change.position, lsn: change.lsn, txId: change.txId },
      }
    }

    return async (records: readonly Received[]): Promise<readonly TopicRow[]> => {
      const changes = await decodeReadable(records, (some) => decoder.decode(some), unreadable)
      return changes.flatMap(({ item, record }) => rowOf(item, record) ?? [])
    }
  }
}

const LAST = 36 ** 8 - 1
