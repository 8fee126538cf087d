import { expect, test } from 'vitest'
import type { Change, RowChange, Table, Tuple } from '../../core/change.ts'
import { neededOrTold } from '../../proof/fence.ts'
import { rawEncoder } from '../../schemas/raw-encoder.ts'
import { localRegistry } from '../../schemas/registry-local.ts'
import { embeddedTopics, originAt, rawMarker } from '../support/embedded-topics.ts'
import { tupleOf } from '../support/pgoutput.ts'

const TABLE: Table = { schema: 'public', name: 'note', columns: [{ name: 'id', oid: 23, modifier: -1 }], key: ['id'] }

const held = embeddedTopics(1)

function change(lsn: number): RowChange<Tuple> {
  return { op: 'c', table: TABLE, reference: '1', before: null, after: tupleOf(String(lsn)), ...originAt(lsn, 1) }
}

const markers = (from: number, count: number) => Array.from({ length: count }, (_, i) => rawMarker(from + i))

const cases: [string, readonly Change<Tuple>[], number][] = [
  ['a change and then the marker', [change(5), rawMarker(9)], 1],
  ['a change and then many markers', [change(5), ...markers(6, 20)], 1],
  ['changes behind the marker', [change(5), rawMarker(9), change(11), change(12)], 1],
  ['markers and changes by turns', [change(5), rawMarker(6), change(7), rawMarker(9)], 3],
  ['markers alone', markers(1, 9), 0],
  ['more markers than are looked at', [change(5), ...markers(6, 400)], 201],
]

test.for(cases)('a place must have read the last change before the fence’s marker: %s', async ([, items, needed]) => {
  const { raw, path } = held
  const registry = localRegistry(path)
  const encoder = rawEncoder({ registry, topic: raw.name, namespace: 't', database: 't' })
  await raw.write(await encoder.encode(items))
  const waiting = { raw, registry, timeoutMs: 1_000, signal: new AbortController().signal }
  expect(await neededOrTold(9, waiting)).toEqual(new Map([[0, needed]]))
})

test('a fence that no marker has passed is told as such', async () => {
  const { raw, path } = held
  const registry = localRegistry(path)
  const encoder = rawEncoder({ registry, topic: raw.name, namespace: 't', database: 't' })
  await raw.write(await encoder.encode([change(5), rawMarker(9)]))
  const waiting = { raw, registry, timeoutMs: 100, signal: new AbortController().signal }
  await expect(neededOrTold(10, waiting)).rejects.toMatchObject({ code: 'SINK' })
})
