/** One sink whose place is not as it should be, beside others whose places are: it waits or stops, and they go on. */
import pg from 'pg'
import { expect } from 'vitest'
import type { Config } from '../../config.ts'
import { CODES, type PipelineError } from '../../core/error.ts'
import { pause } from '../../core/pause.ts'
import { parseLsn } from '../../core/position.ts'
import { capture, deliver, governed } from '../../pipeline.ts'
import { untilPassed } from '../../proof/progress.ts'
import { readStatus } from '../../proof/status.ts'
import { SINKS, type SinkName } from '../../sinks/names.ts'
import { topics } from '../../transport/topics.ts'
import { runTransactions } from '../../workload/load.ts'
import type { Settled } from './settled.ts'

export interface HeldUp {
  readonly settled: Settled
  readonly sink: SinkName
  readonly seed: number
  /** Where the sink's place is, where that is not the settled pipeline's own. */
  readonly given?: Partial<Config>
  /** What the log must give as reason; null where nothing is wrong but time. */
  readonly reason: RegExp | null
  /** Resolves with what mends it. */
  breakIt(): Promise<() => unknown>
}

/** As supervision keeps a stage that has worked before: tried again where that can help, ended with its reason else. */
async function kept(stage: (signal: AbortSignal) => Promise<void>, told: string[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const failed = await stage(signal).then(
      () => null,
      (error: unknown) => error as PipelineError,
    )
    if (failed === null || signal.aborted) return
    told.push(`${failed.code}: ${failed.message}`)
    if (!CODES[failed.code].retriable) return
    await pause(200, signal)
  }
}

/**
 * Breaks the place, runs transactions, and expects that the other sinks pass them, that `status` counts how far this one
 * is behind, that it gave its reason, and that it passes them too once the place is mended.
 */
export async function expectHeldUpAlone({ settled, sink, seed, given = {}, reason, breakIt }: HeldUp): Promise<void> {
  const { runtime, config, database } = settled
  const own = { ...runtime, config: { ...config, ...given } }
  const told: string[] = []
  const mend = await breakIt()
  const stop = new AbortController()
  const othersTold: string[] = []
  const others = [
    (signal: AbortSignal) => capture(runtime, signal),
    (signal: AbortSignal) => governed(runtime, signal),
    ...SINKS.filter((name) => name !== sink).map((name) => (signal: AbortSignal) => deliver(runtime, name, signal)),
  ].map(async (stage) => {
    await kept(stage, othersTold, stop.signal)
    if (!stop.signal.aborted) throw new Error(othersTold.join('\n'))
  })
  const start = () => kept((signal) => deliver(own, sink, signal), told, stop.signal)
  let running = start()
  let mended = false
  const pool = new pg.Pool({ connectionString: database.url, max: 2 })
  try {
    await runTransactions(pool, { seed, transactions: 15 })
    const [now] = await database.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
    const passed = (names: readonly string[]) =>
      Promise.race([
        untilPassed(parseLsn(now!.lsn), {
          ...runtime,
          groups: names.map((name) => `${config.NAMESPACE}.${name}`),
          signal: AbortSignal.timeout(80_000),
        }).catch(async (cause: unknown) => {
          const behind = JSON.stringify(await behindOf(settled))
          throw new Error([`${names.join(', ')} did not pass; behind: ${behind}`, ...told, ...othersTold].join('\n'), {
            cause,
          })
        }),
        ...others,
      ])
    await passed(['unify', ...SINKS.filter((name) => name !== sink)])
    if (reason !== null) await expect.poll(() => told.join('\n'), { timeout: 30_000 }).toMatch(reason)
    expect((await behindOf(settled))[sink]).toBeGreaterThan(15)
    if (reason === null) expect(told).toEqual([])
    mended = true
    await mend()
    if (told.some((each) => /^(SINK_FOREIGN|STATE_VERSION)/.test(each))) {
      await running
      running = start()
    }
    await passed([sink])
    expect(othersTold.filter((each) => /^(SINK|DISK_FULL)/.test(each))).toEqual([])
  } finally {
    if (!mended) await mend()
    stop.abort()
    await Promise.allSettled([running, ...others])
    await pool.end()
  }
}

async function behindOf({ runtime, config }: Settled): Promise<Record<string, number>> {
  const status = await readStatus({
    ...runtime,
    databaseUrl: undefined,
    slot: config.NAMESPACE,
    deadLetters: await runtime.transport.topic(topics(config.NAMESPACE).deadLetters),
    groups: new Map(['unify', ...SINKS].map((name) => [name, `${config.NAMESPACE}.${name}`])),
  })
  return Object.fromEntries(status.readers.map(({ name, behindRecords }) => [name, behindRecords]))
}
