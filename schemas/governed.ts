/**
 * Unified rows as records of the governed topic, projected to its clearance, and back.
 * The contracts are the files in schemas/governed; bytes follow their field order.
 */
import {
  ENTITIES,
  RULES_VERSION,
  type Entity,
  type EntityRow,
  type Field,
  type IncidentChange,
} from '../core/incident.ts'
import type { Message } from '../core/message.ts'
import { putLong, putText } from './avro-bytes.ts'
import { readContract, registerContract } from './contract.ts'
import type { EntityField, FieldType } from './entity.ts'
import { putHeader } from './framing.ts'
import { isoDays, isoMicros } from './iso-time.ts'
import { projections, type Projection } from './policy/projection.ts'
import type { AvroSchema, Registry } from './registry.ts'

export interface GovernedCodec {
  /**
   * The records of one change, in order: one for an upsert; for a delete the last known state, then a tombstone.
   * `lastInTransaction` says that no later change of its transaction has records in this partition: the last record
   * that has a value then says so too.
   */
  messages(change: IncidentChange, lastInTransaction: boolean): Message[]
}

export interface GovernedOptions {
  readonly topic: string
  readonly pseudonymKey: string
}

interface Encoder {
  readonly id: number
  readonly projection: Projection
}

const SLAB_BYTES = 1 << 18
/** What the lineage fields, the header and the key need at most beside the row's own fields. */
const FIXED_BYTES = 256

/** Registers the contracts, then encodes without waiting. CONTRACT when one is not compatible; REGISTRY. */
export async function governedCodec(
  registry: Registry,
  { topic, pseudonymKey }: GovernedOptions,
): Promise<GovernedCodec> {
  const projected = projections('unified', pseudonymKey)
  const keyId = await registerContract(registry, topic, governedContract('RowKey'))
  const encoders = new Map<Entity, Encoder>()
  for (const entity of ENTITIES) {
    const id = await registerContract(registry, topic, governedContract(entity))
    encoders.set(entity, { id, projection: projected[entity] })
  }
  let slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
  let at = 0

  function reserve(bytes: number): void {
    if (slab.length - at >= bytes) return
    slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes))
    at = 0
  }

  function take(start: number, end: number): Buffer {
    at = end
    return slab.subarray(start, end)
  }

  function key({ entity, id }: EntityRow): Buffer {
    const start = at
    return take(start, putText(slab, putText(slab, putHeader(slab, start, keyId), entity), id))
  }

  function value(row: EntityRow, { change }: IncidentChange, last: boolean): Buffer {
    const { id, projection } = encoders.get(row.entity)!
    const fields = projection.project(row.value)
    reserve(bound(row, fields))
    const start = at
    let q = putHeader(slab, start, id)
    for (let i = 0; i < fields.length; i++) q = putField(slab, q, projection.fields[i]!, fields[i]!)
    q = putText(slab, q, change.position)
    q = putLong(slab, q, change.lsn)
    q = putLong(slab, q, change.committedAt)
    q = putLong(slab, q, change.txId)
    slab[q++] = last ? 1 : 0
    q = putLong(slab, q, RULES_VERSION)
    slab[q++] = row.op === 'delete' ? 1 : 0
    return take(start, q)
  }

  return {
    messages: (incident, lastInTransaction) => {
      const { rows, change } = incident
      const timestampMs = Math.floor(change.committedAt / 1000)
      const messages: Message[] = []
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i]!
        const bytes = value(row, incident, lastInTransaction && i === rows.length - 1)
        const message = { partition: change.partition, key: key(row), value: bytes, timestampMs }
        messages.push(message)
        if (row.op === 'delete') messages.push({ ...message, value: null })
      }
      return messages
    },
  }
}

/** A contract of schemas/governed as it lies in the repository. */
export function governedContract(name: Entity | 'RowKey'): AvroSchema {
  return readContract(`governed/${name}`)
}

/** At most how many bytes a row needs with its key: three for each UTF-16 unit, ten for a number. */
function bound(row: EntityRow, fields: readonly Field[]): number {
  let bytes = FIXED_BYTES + row.id.length * 3
  for (const field of fields) bytes += typeof field === 'string' ? field.length * 3 + 11 : 11
  return bytes
}

function putField(out: Buffer, at: number, { type, nullable }: EntityField, field: Field): number {
  if (!nullable) return putValue(out, at, type, field)
  if (field === null) {
    out[at] = 0
    return at + 1
  }
  out[at] = 2
  return putValue(out, at + 1, type, field)
}

function putValue(out: Buffer, at: number, type: FieldType, field: Field): number {
  switch (type) {
    case 'boolean':
      out[at] = field === true ? 1 : 0
      return at + 1
    case 'int':
    case 'long':
      return putLong(out, at, field as number)
    case 'date':
      return putLong(out, at, isoDays(field as string))
    case 'timestamp':
    case 'localTimestamp':
      return putLong(out, at, isoMicros(field as string))
    case 'uuid':
    case 'string':
      return putText(out, at, field as string)
  }
}
