/** Waiting until every reader has passed a moment of the source. */
import type { Lsn } from '../core/position.ts'
import { lsnOf } from '../core/position.ts'
import { rawDecoder } from '../schemas/raw-decoder.ts'
import type { Registry } from '../schemas/registry.ts'
import { readTails } from '../transport/recovery.ts'
import type { Topic, Transport } from '../transport/topic.ts'
import { pause } from '../core/pause.ts'

const POLL_MS = 100

export interface ProgressOptions {
  readonly transport: Transport
  readonly registry: Registry
  readonly raw: Topic
  /** Consumer groups that must have read what the topic then holds. */
  readonly groups: readonly string[]
  readonly signal: AbortSignal
}

/** Resolves when the raw topic has a marker at or behind `lsn` in every partition and every group has read up to it; rejects when the signal comes first. */
export async function untilPassed(lsn: Lsn, options: ProgressOptions): Promise<void> {
  const { raw, registry, transport, groups, signal } = options
  const decoder = rawDecoder(registry)
  while (true) {
    signal.throwIfAborted()
    const tails = await readTails(raw, decoder)
    if (tails.every(({ marker }) => marker !== null && marker.snapshotDone && lsnOf(marker.position) >= lsn)) break
    await pause(POLL_MS, signal)
  }
  const bounds = await raw.bounds()
  for (const group of groups) {
    while (true) {
      signal.throwIfAborted()
      const places = await transport.committed(group, raw)
      if (bounds.every(({ low, high }, partition) => high === low || (places.get(partition)?.next ?? 0) >= high)) break
      await pause(POLL_MS, signal)
    }
  }
}
