/**
 * Chaos for capture: the ledger runs, one fault happens in its midst, and when both are over the topic is judged. One world
 * lives through all runs of a seed; what a run does depends on the seed and its number alone.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Change } from '../../core/change.ts'
import { lsnText, parseLsn, type Lsn } from '../../core/position.ts'
import { rawDecoder } from '../../schemas/raw-decoder.ts'
import { runLedger, type Ledger } from '../../workload/ledger.ts'
import { random } from '../../workload/random.ts'
import { FAULTS, type Fault } from './faults.ts'
import { judge } from './judge.ts'
import { createOracle } from './oracle.ts'
import { chaosReader } from './reader.ts'
import { chaosWorld, type World, type WorldOptions } from './world.ts'

export interface ChaosOptions extends WorldOptions {
  readonly seed: number
  readonly runs: number
  /** Only faults whose names begin with one of these; all unless given. */
  readonly only?: readonly string[]
  readonly signal?: AbortSignal
}

export interface ChaosRun {
  readonly run: number
  readonly fault: string
  readonly says: string
  /** What is wrong; empty when nothing is. */
  readonly violations: readonly string[]
  readonly transactions: number
  readonly rolledBack: number
  readonly changes: number
  /** Records that were in the topic a second time, and dropped by the reader's rule. */
  readonly dropped: number
  /** From the end of fault and load to the last change in the topic, and to the end of the run. */
  readonly behindMs: number
  readonly seconds: number
  /** The end of capture's log, where something is wrong. */
  readonly log: string
}

const WRITERS = 3
const TRANSACTIONS = 24
const PAUSE_MS = 30
const PATIENCE_MS = 120_000

/**
 * Each run as it ends; stops at the first that has a violation. Rejects with what could not be started, and with the
 * signal's reason: the run that it interrupts is not judged.
 */
export async function* captureChaos(options: ChaosOptions): AsyncGenerator<ChaosRun> {
  const { seed, runs, signal } = options
  const interrupted = Promise.withResolvers<never>()
  interrupted.promise.catch(() => {}) // told to the run that is going on
  signal?.addEventListener('abort', () => interrupted.reject(signal.reason as Error))
  const world = await chaosWorld(options)
  try {
    const inspector = await inspect(world)
    const { only = [''] } = options
    const faults = FAULTS.filter(
      ({ name, where }) => only.some((prefix) => name.startsWith(prefix)) && where?.(world) !== false,
    )
    for (let run = 0; run < runs; run++) {
      const running = chaosRun(world, { seed, run, fault: faultOf(seed, run, faults), inspector })
      const result = await Promise.race([running, interrupted.promise])
      yield result
      if (result.violations.length > 0) return
    }
  } finally {
    await world.close()
  }
}

/** Every fault once, then by chance. */
function faultOf(seed: number, run: number, faults: readonly Fault[]): Fault {
  const weights = faults.map((fault) => [fault, fault.weight] as const)
  return faults[run] ?? random(seed, 'fault', run).weighted(weights)
}

interface RunOptions {
  readonly seed: number
  readonly run: number
  readonly fault: Fault
  readonly inspector: Inspector
}

async function chaosRun(world: World, { seed, run, fault, inspector }: RunOptions): Promise<ChaosRun> {
  const begun = performance.now()
  const chance = random(seed, 'moment', run)
  const total = WRITERS * TRANSACTIONS
  const at = fault.early === true ? chance.int(6, total / 4) : chance.int(1, Math.floor(total * 0.8))
  const { says, happen } = fault.plan(random(seed, 'plan', run, fault.name))
  const happening: Promise<void>[] = []
  const ledger = await runLedger({
    url: world.url,
    seed,
    run,
    writers: WRITERS,
    transactions: TRANSACTIONS,
    pauseMs: PAUSE_MS,
    patienceMs: PATIENCE_MS,
    onTransaction: (ended) => {
      if (ended === at) happening.push(happen(world))
    },
  })
  await Promise.all(happening)
  const found = await inspector.look(world, ledger)
  if (fault.name.startsWith('failpoint-') && !world.capture.failed)
    found.violations.push(`capture never got to where it was to die: ${says}`)
  return {
    run,
    fault: fault.name,
    says: `${says}, after transaction ${at}`,
    ...found,
    transactions: ledger.committed.length,
    rolledBack: ledger.rolledBack.length,
    seconds: (performance.now() - begun) / 1000,
    log: found.violations.length === 0 ? '' : world.capture.log(),
  }
}

interface Found {
  readonly violations: string[]
  readonly changes: number
  readonly dropped: number
  readonly behindMs: number
}

interface Inspector {
  look(world: World, ledger: Ledger): Promise<Found>
}

/** Waits for the first snapshot; from then on oracle and topic are asked for the same transactions. */
async function inspect(world: World): Promise<Inspector> {
  const oracle = await withClient(world.url, createOracle)
  const judging = judge()
  let reader: ReturnType<typeof chaosReader> | null = null
  let dropped = 0

  /** What the topic has more, up to what the source has committed now; null when it does not come. */
  async function topicUpTo(lsn: Lsn): Promise<Change[] | null> {
    const deadline = performance.now() + PATIENCE_MS
    const changes: Change[] = []
    const { raw, registry, transport } = await world.open()
    try {
      reader ??= chaosReader(raw.partitions)
      const decoder = rawDecoder(registry)
      while (true) {
        for (const change of await reader.readOn(raw, decoder)) changes.push(change)
        if (reader.passed >= lsn && reader.snapshotDone) return changes
        if (performance.now() > deadline) return null
        await sleep(50)
      }
    } finally {
      await transport.close()
    }
  }

  function where({ capture }: World, lsn: Lsn): string {
    const passed = lsnText(reader?.passed ?? 0)
    return `at ${passed} before ${lsnText(lsn)}, snapshot ${reader?.snapshotDone === true ? '' : 'not '}done, started ${capture.starts} times`
  }

  const inspector: Inspector = {
    look: (world, ledger) =>
      withClient(world.url, async (client) => {
        const since = performance.now()
        const lsn = await committedLsn(client)
        const changes = await topicUpTo(lsn)
        const behindMs = performance.now() - since
        const ends = world.capture.takeVerdicts()
        if (changes === null) {
          const violations = [
            ...ends,
            `capture did not get over it within ${PATIENCE_MS / 1000} s, ${where(world, lsn)}`,
          ]
          return { violations, changes: 0, dropped: 0, behindMs }
        }
        const committed = await oracle.read(client)
        const before = dropped
        dropped = reader!.dropped
        return {
          violations: [
            ...ends,
            ...judging.judge({ oracle: committed, changes, ledger }),
            ...(await judging.compareTables(client)),
          ],
          changes: committed.reduce((sum, each) => sum + each.changes.length, 0),
          dropped: dropped - before,
          behindMs,
        }
      }),
  }
  const { violations } = await inspector.look(world, { committed: [], rolledBack: [] })
  if (violations.length > 0) throw new Error(`${violations.join('\n')}\n${world.capture.log()}`)
  return inspector
}

/** Everything that the source has committed lies before it. */
async function committedLsn(client: pg.Client): Promise<Lsn> {
  await client.query(`SELECT pg_logical_emit_message(true, 'chaos', '')`)
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn')
  return parseLsn(rows[0]!.lsn)
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, options: '-c datestyle=ISO,YMD -c timezone=UTC' })
  client.on('error', () => {})
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
