/** The raw topic: by position, streamed changes that stand behind a newer one left out, as its readers fold it. */
import { image, isStreamed, tableName, type Change, type Table } from '../core/change.ts'
import { BEGINNING, type Position } from '../core/position.ts'
import { placingRawDecoder, rawDecoder } from '../schemas/raw-decoder.ts'
import type { Registry } from '../schemas/registry.ts'
import type { Received } from '../core/message.ts'
import { keyReader, rowPutter } from './avro-cells.ts'
import { GONE, sourceCell } from './canonical.ts'
import type { TopicMark, TopicRow } from './place-topic.ts'
import { rowBytes } from './row-bytes.ts'
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
  const kindOf = remembered((table) => kindIn(tables, table))

  return () => {
    const counts = newer()
    return async (records: readonly Received[]): Promise<readonly TopicRow[]> => {
      const changes = await decodeReadable(records, (some) => decoder.decode(some), unreadable)
      return changes.flatMap(({ item: change, record }): TopicRow | [] => {
        if (change.op === 'm' || !counts(change)) return []
        each?.(change)
        const kind = kindOf(change.table)
        if (kind === null) return []
        const { after } = change
        return {
          kind,
          key: keyOf(change.table, image(change)),
          record,
          position: change.position,
          // columns in the source's order, whatever the record's schema had
          cells: after === null ? null : tables[kind]!.columns.map((column) => sourceCell(column, after[column.name])),
          at: { text: change.position, lsn: change.lsn, txId: change.txId },
        }
      })
    }
  }
}

/** As {@link rawRows}, but of each row the hash alone, worked out from the record's bytes. */
export function rawMarks({ registry, tables, unreadable }: RawReaderOptions) {
  const decoder = placingRawDecoder(registry)
  const row = rowBytes()
  const readerOf = remembered((table) => {
    const kind = kindIn(tables, table)
    if (kind === null) return null
    return { kind, key: keyReader(table.columns, table.key), put: rowPutter(table.columns, tables[kind]!.columns) }
  })

  return () => {
    const counts = newer()
    return async (records: readonly Received[]): Promise<readonly TopicMark[]> => {
      const changes = await decodeReadable(records, (some) => decoder.decode(some), unreadable)
      return changes.flatMap(({ item: change, record }): TopicMark | [] => {
        if (change.op === 'm' || !counts(change)) return []
        const reader = readerOf(change.table)
        if (reader === null) return []
        const { after, position } = change
        const bytes = record.value!
        const key = reader.key({ bytes, at: image(change) })
        if (after === null) return { kind: reader.kind, key, record, position, digest: GONE }
        row.begin()
        reader.put({ bytes, at: after }, row)
        return { kind: reader.kind, key, record, position, digest: row.digest() }
      })
    }
  }
}

/** A row without a key cannot be looked up again. */
function kindIn(tables: readonly Table[], table: Table): number | null {
  const name = tableName(table)
  const kind = tables.findIndex((each) => each.key.length > 0 && tableName(each) === name)
  return kind === -1 ? null : kind
}

/** A record's table object is one for each schema. */
function remembered<T>(make: (table: Table) => T): (table: Table) => T {
  const made = new WeakMap<Table, { readonly value: T }>()
  return (table) => {
    let found = made.get(table)
    if (found === undefined) {
      found = { value: make(table) }
      made.set(table, found)
    }
    return found.value
  }
}

/** Whether a change counts: all do but those of the stream that stand behind a newer one of their partition. */
function newer(): (change: Change<unknown>) => boolean {
  const heights = new Map<number, Position>()
  return (change) => {
    if (!isStreamed(change)) return true
    if (change.position <= (heights.get(change.partition) ?? BEGINNING)) return false
    heights.set(change.partition, change.position)
    return true
  }
}
