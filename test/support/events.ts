/** The event topic of a run, and its comparison with what triggers in the source saw. */
import { expect } from 'vitest'
import type { IncidentEvent } from '../../core/event.ts'
import { parseLsn } from '../../core/position.ts'
import type { Runtime } from '../../runtime.ts'
import { untilPassed } from '../../proof/progress.ts'
import { eventDecoder } from '../../schemas/events.ts'
import { topics } from '../../transport/topics.ts'
import { auditedIncidents } from './event-audit.ts'
import type { TestDatabase } from './postgres.ts'

const MiB = 1 << 20

/** Resolves when the snapshot is whole, and everything committed by now is in the raw topic and read by these. */
export async function untilRead(runtime: Runtime, database: TestDatabase, readers: readonly string[]): Promise<void> {
  const { config, transport, registry, raw } = runtime
  const [row] = await database.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
  const groups = readers.map((name) => `${config.NAMESPACE}.${name}`)
  const signal = AbortSignal.timeout(120_000)
  await untilPassed(parseLsn(row!.lsn), { transport, registry, raw, groups, signal })
}

/** All of the topic, in order per partition. */
export async function everyEvent({ config, transport, registry }: Runtime): Promise<IncidentEvent[]> {
  const topic = await transport.topic(topics(config.NAMESPACE).events)
  const decoder = eventDecoder(registry)
  const stop = new AbortController()
  const events: IncidentEvent[] = []
  let quiet = 0
  for await (const { items } of topic.read({
    group: `${config.NAMESPACE}.test`,
    signal: stop.signal,
    aheadBytes: 8 * MiB,
    places: async () => new Map(),
  })) {
    events.push(...(await Promise.all(items.map((record) => decoder.event(record)))))
    quiet = items.length === 0 ? quiet + 1 : 0
    if (quiet > 1) break
  }
  stop.abort()
  return events
}

/** Each incident and transaction that the source's triggers saw once, as created, amended or deleted, and no others. */
export async function expectAudited(database: TestDatabase, events: readonly IncidentEvent[]): Promise<void> {
  const told = events.map(({ txId, eventType, additionalInformation: { source, reportReference } }) =>
    [txId, source, reportReference, eventType.slice('incident.report.'.length)].join(' '),
  )
  const audited = (await auditedIncidents(database)).map(({ xid, source, reference, verb }) =>
    [xid, source, reference, verb].join(' '),
  )
  expect(audited.length).toBeGreaterThan(0)
  expect(told.toSorted()).toEqual(audited.toSorted())
}
