/** The faults: each happens once, at a moment that its run names, and is over when it resolves. */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { ask } from '../../connectors/postgres/requests.ts'
import { CAPTURE_STEPS, type CaptureStep } from '../../connectors/postgres/steps.ts'
import type { Random } from '../../workload/random.ts'
import { NAMESPACE, type World } from './world.ts'

export interface Fault {
  readonly name: string
  readonly weight: number
  /** Whether it needs most of the load behind it. */
  readonly early?: boolean
  /** Where it can happen; everywhere when absent. */
  readonly where?: (world: World) => boolean
  /** Every chance is taken before anything happens, so that the same seed does the same. */
  plan(random: Random): { readonly says: string; happen(world: World): Promise<void> }
}

/** How often at most: what comes with a marker comes once a second, what is written comes many at a time. */
const MOST: Readonly<Record<CaptureStep, number>> = {
  received: 8,
  assembled: 8,
  changed: 8,
  encoded: 4,
  written: 4,
  measured: 2,
  merged: 2,
  noted: 2,
  told: 1,
}

const FAILPOINT_MS = 60_000

/** As `incidents repair` asks for it: what the source has no more is deleted. */
async function readAllAgain({ url }: World): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await ask(client, NAMESPACE, { kind: 'tables', tables: null, sweep: true })
  } finally {
    await client.end()
  }
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'kill-capture',
    weight: 4,
    plan: () => ({ says: 'kill -9 of capture', happen: ({ capture }) => capture.kill() }),
  },
  {
    name: 'kill-capture-again',
    weight: 2,
    plan: (random) => {
      const pauses = [random.int(300, 1_500), random.int(300, 1_500)]
      return {
        says: `kill -9 of capture, and of its successors after ${pauses.join(' and ')} ms`,
        happen: async ({ capture }) => {
          await capture.kill()
          for (const pause of pauses) {
            await sleep(pause)
            await capture.kill()
          }
        },
      }
    },
  },
  ...CAPTURE_STEPS.map((step): Fault => ({
    name: `failpoint-${step}`,
    weight: 0.75,
    early: true,
    plan: (random) => {
      const count = random.int(1, MOST[step])
      return {
        says: `capture dies where it has ${step} for time ${count}`,
        happen: async ({ capture }) => {
          await capture.failAt({ step, count })
          const deadline = performance.now() + FAILPOINT_MS
          while (!capture.failed && performance.now() < deadline) await sleep(20)
        },
      }
    },
  })),
  {
    name: 'kill-while-reading-again',
    weight: 2,
    early: true,
    plan: (random) => {
      const ms = random.int(0, 1_200)
      return {
        says: `every table is read again, and kill -9 of capture ${ms} ms into it`,
        happen: async (world) => {
          await readAllAgain(world)
          await sleep(ms)
          await world.capture.kill()
        },
      }
    },
  },
  {
    name: 'stop-postgres',
    weight: 4,
    plan: (random) => {
      const downMs = random.int(0, 1_500)
      return {
        says: `immediate stop of PostgreSQL, back after ${downMs} ms`,
        happen: ({ postgres }) => postgres.crash(downMs),
      }
    },
  },
  {
    name: 'stop-both',
    weight: 1,
    plan: (random) => {
      const downMs = random.int(0, 800)
      return {
        says: `immediate stop of PostgreSQL and kill -9 of capture, back after ${downMs} ms`,
        happen: async ({ postgres, capture }) => {
          await Promise.all([postgres.crash(downMs), capture.kill()])
        },
      }
    },
  },
  {
    name: 'cut-source',
    weight: 2,
    plan: (random) => {
      const downMs = random.int(0, 1_200)
      return {
        says: `the network to PostgreSQL is cut for ${downMs} ms`,
        happen: async ({ network }) => {
          network.cut(0)
          await sleep(downMs)
          network.mend()
        },
      }
    },
  },
  {
    name: 'cut-source-inside',
    weight: 2,
    plan: (random) => {
      const bytes = random.int(1, 20_000)
      return {
        says: `the network to PostgreSQL is cut inside a message, ${bytes} bytes on`,
        happen: async ({ network }) => {
          network.cut(bytes)
          await sleep(1_000)
          network.mend()
        },
      }
    },
  },
  {
    name: 'freeze-source',
    weight: 1,
    plan: (random) => {
      const ms = random.int(500, 4_000)
      return {
        says: `the network to PostgreSQL carries nothing for ${ms} ms`,
        happen: async ({ network }) => {
          network.freeze()
          await sleep(ms)
          network.thaw()
        },
      }
    },
  },
  {
    name: 'disk-full',
    weight: 2,
    where: ({ disk }) => disk !== null,
    plan: (random) => {
      const ms = random.int(200, 2_000)
      const leave = random.pick([0, 0, 4_096, 32_768, 262_144])
      return {
        says: `the state directory has ${leave} bytes left for ${ms} ms`,
        happen: async ({ disk }) => {
          disk!.fill(leave)
          await sleep(ms)
          disk!.makeRoom()
        },
      }
    },
  },
  {
    name: 'disk-full-at-start',
    weight: 1,
    where: ({ disk }) => disk !== null,
    plan: (random) => {
      const ms = random.int(800, 2_000)
      return {
        says: `kill -9 of capture, whose successors find the state directory full for ${ms} ms`,
        happen: async ({ disk, capture }) => {
          disk!.fill(0)
          await capture.kill()
          await sleep(ms)
          disk!.makeRoom()
        },
      }
    },
  },
  {
    name: 'kill-broker',
    weight: 6,
    where: ({ broker }) => broker !== null,
    plan: (random) => {
      const downMs = random.int(0, 1_000)
      return { says: `kill -9 of the broker, back after ${downMs} ms`, happen: ({ broker }) => broker!.crash(downMs) }
    },
  },
  {
    name: 'kill-broker-and-capture',
    weight: 2,
    where: ({ broker }) => broker !== null,
    plan: (random) => {
      const downMs = random.int(0, 1_000)
      return {
        says: `kill -9 of broker and capture, the broker back after ${downMs} ms`,
        happen: async ({ broker, capture }) => {
          await Promise.all([broker!.crash(downMs), capture.kill()])
        },
      }
    },
  },
  {
    name: 'cut-broker',
    weight: 3,
    where: ({ broker }) => broker !== null,
    plan: (random) => {
      const downMs = random.int(0, 1_500)
      const bytes = random.pick([0, 0, random.int(1, 400)])
      return {
        says: `the network to the broker is cut ${bytes} bytes on, for ${downMs} ms`,
        happen: async ({ broker }) => {
          broker!.network.cut(bytes)
          await sleep(downMs)
          broker!.network.mend()
        },
      }
    },
  },
]
