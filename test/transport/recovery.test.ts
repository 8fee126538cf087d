import { expect, test } from 'vitest'
import type { Marker } from '../../core/change.ts'
import { rawDecoder } from '../../schemas/raw-decoder.ts'
import { rawEncoder } from '../../schemas/raw-encoder.ts'
import { localRegistry } from '../../schemas/registry-local.ts'
import { readTails } from '../../transport/recovery.ts'
import { embeddedTopics, rawMarker } from '../support/embedded-topics.ts'

const held = embeddedTopics(1)

const cases: [string, readonly Marker[], boolean][] = [
  ['the source rested while the first snapshot ended', [rawMarker(5, false), rawMarker(5, true)], true],
  ['a capture that was replaced wrote behind its successor', [rawMarker(9, true), rawMarker(5, false)], true],
  ['the snapshot goes on', [rawMarker(5, false), rawMarker(9, false)], false],
]

test.for(cases)('the newest marker is found where %s', async ([, markers, snapshotDone]) => {
  const registry = localRegistry(held.path)
  const encoder = rawEncoder({ registry, topic: held.raw.name, namespace: 't', database: 't' })
  await held.raw.write(await encoder.encode(markers))
  const [tail] = await readTails(held.raw, rawDecoder(registry))
  expect(tail!.marker!.snapshotDone).toBe(snapshotDone)
})
