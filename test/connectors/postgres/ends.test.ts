import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { topicEnds } from '../../../connectors/postgres/ends.ts'
import { openState, type CaptureState } from '../../../connectors/postgres/state.ts'
import type { Marker } from '../../../core/change.ts'
import { BEGINNING, position } from '../../../core/position.ts'
import type { Tail } from '../../../core/tail.ts'
import { temporaryDirectory } from '../../support/capture.ts'
import { marker } from '../../support/source-rows.ts'

let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let state: CaptureState

beforeEach(async () => {
  directory = await temporaryDirectory()
  state = openState(directory.path)
})

afterEach(async () => {
  state.close()
  await directory.remove()
})

const tailAt = (lsn: number): Tail => ({
  height: BEGINNING,
  last: null,
  marker: { ...marker(), position: position(2, lsn, 0) } satisfies Marker,
  empty: false,
})

/** A capture that noted the topic at `noted`, then one that finds it at `found`. */
async function checked(noted: readonly number[] | null, found: readonly number[], tails = found.map(() => tailAt(7))) {
  if (noted !== null) await topicEnds({ state, ends: async () => noted }).note()
  state.close()
  state = openState(directory.path)
  return topicEnds({ state, ends: async () => found }).check(tails)
}

describe('where the topic ended', () => {
  test.for([
    ['as long as it was', [3, 0, 7], [3, 0, 7]],
    ['longer', [3, 0, 7], [3, 5, 9]],
    ['never noted', null, [0, 0, 0]],
  ] as const)('%s: capture goes on', async ([, noted, found]) => {
    await expect(checked(noted, found)).resolves.toBeUndefined()
  })

  test.for([
    ['shorter by one record', [3, 0, 7], [3, 0, 6], 'partition 2 of the raw topic ends at offset 6, and ended at 7'],
    ['empty', [3, 0, 7], [0, 0, 0], 'partition 0 of the raw topic ends at offset 0, and ended at 3'],
    ['wider', [3, 0], [3, 0, 0], 'the raw topic has 3 partitions, and had 2'],
    ['narrower', [3, 0], [3], 'the raw topic has 1 partitions, and had 2'],
  ] as const)('%s: capture stops in doubt, and names the way out', async ([, noted, found, says]) => {
    await expect(checked(noted, found)).rejects.toMatchObject({
      code: 'IDENTITY',
      message: expect.stringContaining(says),
      remedy: expect.stringContaining('incidents source adopt'),
    })
  })

  test('is not asked for once an operator has accepted the topic as it is', async () => {
    await expect(checked([3, 0], [1, 0, 0], [tailAt(0), tailAt(0), tailAt(0)])).resolves.toBeUndefined()
  })

  test('is asked for once a second at most, and at the first marker', async () => {
    let asked = 0
    const ends = topicEnds({ state, ends: async () => [++asked] })
    for (let i = 0; i < 10; i++) await ends.note()
    expect(state.ends).toEqual([1])
    expect(asked).toBe(1)
  })
})
