/** The simulated NOMIS at the size of the real one. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, expect, test } from 'vitest'
import { nomisClient } from '../../../../connectors/nomis/client.ts'
import { PAGE_SIZE } from '../../../../connectors/nomis/migrator.ts'
import { FIRST_ID, nomisSimulator, type Simulator } from '../../../../connectors/nomis/simulator/server.ts'

const INCIDENTS = 1_000_000
const MOST_KEPT = 16 << 20

let simulator: Simulator

afterEach(() => simulator.close())

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function heldBytes(): number {
  collect()
  return process.memoryUsage().heapUsed
}

test('a million incidents are paged through, each once and rising, and none of them is kept', async () => {
  simulator = await nomisSimulator({ incidents: INCIDENTS })
  const client = nomisClient({ url: simulator.url })
  await client.page(0, PAGE_SIZE, 0)
  const before = heldBytes()
  let seen = 0
  let last = 0
  let kept = 0
  for (let page = 0; ; page++) {
    const { ids, total } = await client.page(page, PAGE_SIZE, last)
    expect(total).toBe(INCIDENTS)
    if (ids.length === 0) break
    expect(ids[0]).toBe(FIRST_ID + seen)
    seen += ids.length
    last = ids.at(-1)!
    expect(last).toBe(FIRST_ID + seen - 1)
    if (page % 50 !== 0) continue
    await client.incident(last)
    kept = Math.max(kept, heldBytes() - before)
  }
  expect(seen).toBe(INCIDENTS)
  expect(kept).toBeLessThan(MOST_KEPT)
})

test('an incident is the same whenever it is asked for, and another one of another seed', async () => {
  const asked = [FIRST_ID, FIRST_ID + 500_000, FIRST_ID + INCIDENTS - 1]
  const read = async (seed: number) => {
    simulator = await nomisSimulator({ incidents: INCIDENTS, seed })
    const client = nomisClient({ url: simulator.url })
    const found = await Promise.all(asked.map((id) => client.incident(id)))
    expect(await client.incident(FIRST_ID + INCIDENTS)).toBeNull()
    return found
  }
  const first = await read(1)
  await simulator.close()
  expect(await read(1)).toEqual(first)
  await simulator.close()
  expect(await read(2)).not.toEqual(first)
  expect(first.map((each) => each!.incidentId)).toEqual(asked)
})
