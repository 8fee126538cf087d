/** What the topics hold when they are folded: the newest record of each key. */
import { image, isStreamed, keyText, tableName, type Change } from '../core/change.ts'
import type { Received } from '../core/message.ts'
import { BEGINNING, type Position } from '../core/position.ts'
import { governedDecoder, type GovernedDecoder } from '../schemas/governed-decoder.ts'
import type { Output } from '../schemas/policy/clearance.ts'
import { projections } from '../schemas/policy/projection.ts'
import { rawDecoder } from '../schemas/raw-decoder.ts'
import type { Registry } from '../schemas/registry.ts'
import { ENTITIES } from '../core/incident.ts'
import type { Topic } from '../transport/topic.ts'
import { fieldsText, rowsOf, rowText, type Place, type Rows } from './place.ts'

/** The raw topic as its readers fold it: by position, streamed changes that stand behind a newer one left out. */
export async function rawPlace(topic: Topic, registry: Registry, group: string): Promise<Place> {
  const decoder = rawDecoder(registry)
  const newest = new Map<string, { entity: string; key: string; position: Position; text: string | null }>()
  const heights = new Map<number, Position>()
  await everyRecord(topic, group, async (records) => {
    for (const change of await decoder.decode(records)) fold(change, newest, heights)
  })
  const entities = new Map<string, Rows>()
  for (const { entity, key, text } of newest.values()) {
    const rows = rowsOf(entities, entity)
    if (text !== null) rows.set(key, text)
  }
  return { name: topic.name, entities }
}

function fold(
  change: Change,
  newest: Map<string, { entity: string; key: string; position: Position; text: string | null }>,
  heights: Map<number, Position>,
): void {
  if (change.op === 'm') return
  if (isStreamed(change)) {
    if (change.position <= (heights.get(change.partition) ?? BEGINNING)) return
    heights.set(change.partition, change.position)
  }
  const entity = tableName(change.table)
  const key = keyText(change.table, image(change))
  const id = `${entity}/${key}`
  const held = newest.get(id)
  if (held !== undefined && held.position >= change.position) return
  const text = change.after === null ? null : rowText(change.table, change.after)
  newest.set(id, { entity, key, position: change.position, text })
}

/** The governed topic: rows as a consumer that folds by key has them. */
export async function unifiedPlace(
  topic: Topic,
  registry: Registry,
  pseudonymKey: string,
  group: string,
): Promise<Place> {
  const decoder = governedDecoder(registry)
  const output: Output = 'unified'
  const projected = projections(output, pseudonymKey)
  const newest = new Map<string, { entity: string; id: string; position: Position; text: string | null }>()
  await everyRecord(topic, group, async (records) => {
    for (const row of await governedRows(decoder, records)) {
      const id = `${row.entity}/${row.id}`
      const held = newest.get(id)
      const at = row.state?.position ?? held?.position ?? BEGINNING
      if (held !== undefined && held.position > at) continue
      const fields = row.state?.fields
      const text =
        row.deleted || fields === undefined
          ? null
          : fieldsText(projected[row.entity].fields.map((field) => fields[field.name] ?? null))
      newest.set(id, { entity: row.entity, id: row.id, position: at, text })
    }
  })
  const entities = new Map<string, Rows>(ENTITIES.map((entity) => [entity, new Map()]))
  for (const { entity, id, text } of newest.values()) if (text !== null) rowsOf(entities, entity).set(id, text)
  return { name: topic.name, entities }
}

function governedRows(decoder: GovernedDecoder, records: readonly Received[]) {
  return decoder.rows(records)
}

/** Every record that is in the topic now, in order per partition. */
async function everyRecord(
  topic: Topic,
  group: string,
  take: (records: readonly Received[]) => Promise<void>,
): Promise<void> {
  const bounds = await topic.bounds()
  const left = new Set(
    bounds
      .entries()
      .filter(([, { low, high }]) => high > low)
      .map(([partition]) => partition),
  )
  if (left.size === 0) return
  const stop = new AbortController()
  const places = new Map(bounds.entries().map(([partition, { low }]) => [partition, { next: low, height: BEGINNING }]))
  const seen = new Map<number, number>()
  let quiet = 0
  for await (const batch of topic.read({
    group,
    signal: stop.signal,
    aheadBytes: 8 << 20,
    places: async () => places,
  })) {
    const inside = batch.items.filter((record) => record.offset < (bounds[record.partition]?.high ?? 0))
    await take(inside)
    for (const record of inside) seen.set(record.partition, record.offset)
    quiet = batch.items.length === 0 ? quiet + 1 : 0
    // the last offsets of a transactional topic are commit markers, which are no records: a keepalive says that no more comes
    for (const partition of left)
      if ((seen.get(partition) ?? -1) >= bounds[partition]!.high - 1 || quiet > 1) left.delete(partition)
    if (left.size === 0) break
  }
  stop.abort()
}
