/** Markers as records of the raw topic, and what every record of it has. */
import type { Change, Marker, Tuple } from '../core/change.ts'
import type { Message } from '../core/message.ts'
import { putAscii, putLong, putText } from './avro-bytes.ts'
import { putHeader } from './framing.ts'
import { markerKeySchema, markerSchema } from './raw-schema.ts'
import { subjectName, type Registry } from './registry.ts'

export interface MarkerEncoderOptions {
  readonly registry: Registry
  readonly topic: string
  readonly namespace: string
}

/** CONTRACT or REGISTRY when the marker's schemas cannot be registered. */
export function markerEncoder({
  registry,
  topic,
  namespace,
}: MarkerEncoderOptions): (marker: Marker) => Promise<Message> {
  let ids: { readonly value: number; readonly key: number } | null = null

  async function register(): Promise<{ value: number; key: number }> {
    const [value, key] = await Promise.all([
      registry.register(subjectName(topic, `${namespace}.Marker`), markerSchema(namespace), 'BACKWARD_TRANSITIVE'),
      registry.register(
        subjectName(topic, `${namespace}.MarkerKey`),
        markerKeySchema(namespace),
        'BACKWARD_TRANSITIVE',
      ),
    ])
    return { value, key }
  }

  return async (marker) => {
    ids ??= await register()
    return {
      partition: marker.partition,
      key: keyBytes(ids.key, marker),
      value: valueBytes(ids.value, marker),
      timestampMs: Math.floor(marker.committedAt / 1000),
    }
  }
}

function valueBytes(id: number, marker: Marker): Buffer {
  const { stopped } = marker
  const out = Buffer.allocUnsafe(1024 + 8 * stopped.length + 3 * stopped.reduce((sum, { length }) => sum + length, 0))
  let at = putHeader(out, 0, id)
  at = putAscii(out, at, 'm')
  at = putText(out, at, marker.slot)
  at = putAscii(out, at, marker.systemIdentifier)
  at = putLong(out, at, marker.timeline)
  out[at++] = marker.snapshotDone ? 1 : 0
  at = putCommon(out, at, marker)
  if (stopped.length > 0) {
    at = putLong(out, at, stopped.length)
    for (const table of stopped) at = putText(out, at, table)
  }
  out[at++] = 0
  return out.subarray(0, at)
}

function keyBytes(id: number, { partition }: Marker): Buffer {
  const out = Buffer.allocUnsafe(16)
  return out.subarray(0, putLong(out, putHeader(out, 0, id), partition))
}

/** The fields that markers and envelopes share. */
export function putCommon(out: Buffer, at: number, change: Change<Tuple>): number {
  at = putAscii(out, at, change.position)
  at = putLong(out, at, change.lsn)
  at = putAscii(out, at, change.streamedTo)
  at = putLong(out, at, change.committedAt)
  at = putLong(out, at, change.txId)
  out[at] = change.lastInTransaction ? 1 : 0
  return at + 1
}
