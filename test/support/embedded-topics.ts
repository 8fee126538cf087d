/** Embedded topics that each test of a file has to itself, and what the raw one holds by hand. */
import { afterEach, beforeEach } from 'vitest'
import type { Marker } from '../../core/change.ts'
import { BEGINNING, position } from '../../core/position.ts'
import { embeddedTransport, type EmbeddedTransport } from '../../transport/embedded.ts'
import type { Topic } from '../../transport/topic.ts'
import { topics } from '../../transport/topics.ts'
import { temporaryDirectory } from './capture.ts'

/** What it holds is there while a test runs. */
export interface EmbeddedTopics {
  transport: EmbeddedTransport
  raw: Topic
  /** Of the state. */
  path: string
}

export function embeddedTopics(partitions: number): EmbeddedTopics {
  const held = {} as EmbeddedTopics
  let remove: () => Promise<void>
  beforeEach(async () => {
    const directory = await temporaryDirectory()
    remove = directory.remove
    held.path = directory.path
    held.transport = await embeddedTransport({ directory: directory.path, partitions, maxBytes: 1 << 30 })
    held.raw = await held.transport.topic(topics('t').raw)
  })
  afterEach(async () => {
    await held.transport.close()
    await remove()
  })
  return held
}

/** Where a record of the raw topic's first partition comes from, alone in its transaction. */
export function originAt(lsn: number, ordinal: number) {
  return {
    position: position(1, lsn, ordinal),
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

export function rawMarker(lsn: number, snapshotDone = true): Marker {
  return { op: 'm', slot: 't', systemIdentifier: '1', timeline: 1, snapshotDone, stopped: [], ...originAt(lsn, 0) }
}
