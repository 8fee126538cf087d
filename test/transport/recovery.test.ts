import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Marker } from '../../core/change.ts'
import { BEGINNING, position } from '../../core/position.ts'
import { rawDecoder } from '../../schemas/raw-decoder.ts'
import { rawEncoder } from '../../schemas/raw-encoder.ts'
import { localRegistry } from '../../schemas/registry-local.ts'
import { embeddedTransport, type EmbeddedTransport } from '../../transport/embedded.ts'
import { readTails } from '../../transport/recovery.ts'
import type { Topic } from '../../transport/topic.ts'
import { topics } from '../../transport/topics.ts'
import { temporaryDirectory } from '../support/capture.ts'

let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let transport: EmbeddedTransport
let topic: Topic

beforeEach(async () => {
  directory = await temporaryDirectory()
  transport = await embeddedTransport({ directory: directory.path, partitions: 1, maxBytes: 1 << 30 })
  topic = await transport.topic(topics('t').raw)
})

afterEach(async () => {
  await transport.close()
  await directory.remove()
})

function marker(lsn: number, snapshotDone: boolean): Marker {
  return {
    op: 'm',
    slot: 't',
    systemIdentifier: '1',
    timeline: 1,
    snapshotDone,
    stopped: [],
    position: position(1, lsn, 0),
    lsn,
    committedAt: 0,
    txId: 0,
    partition: 0,
    offset: -1,
    streamedTo: BEGINNING,
    lastInTransaction: true,
    bytes: 0,
  }
}

const cases: [string, readonly Marker[], boolean][] = [
  ['the source rested while the first snapshot ended', [marker(5, false), marker(5, true)], true],
  ['a capture that was replaced wrote behind its successor', [marker(9, true), marker(5, false)], true],
  ['the snapshot goes on', [marker(5, false), marker(9, false)], false],
]

test.for(cases)('the newest marker is found where %s', async ([, markers, snapshotDone]) => {
  const registry = localRegistry(directory.path)
  const encoder = rawEncoder({ registry, topic: topic.name, namespace: 't', database: 't' })
  await topic.write(await encoder.encode(markers))
  const [tail] = await readTails(topic, rawDecoder(registry))
  expect(tail!.marker!.snapshotDone).toBe(snapshotDone)
})
