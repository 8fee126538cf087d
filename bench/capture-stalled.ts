/** What capture holds while the broker stands still and the source goes on. */
import { pause } from '../core/pause.ts'
import { recordsOf, type Target } from './capture-target.ts'
import { pidOf } from './cpu.ts'
import { changeOrders, IN_TRANSACTION } from './orders.ts'

export interface Stalled {
  readonly rows: number
  /** How long the broker stood still. */
  readonly stalledSeconds: number
  /** What the slot held back when it went on. */
  readonly slotMiB: number
  /** Until everything was in the topic again. */
  readonly catchUpSeconds: number
  readonly peakRssMiB: number
}

/** Committed a second while the broker stands still. */
const RATE = 1_000
const STEP = 10 * IN_TRANSACTION
const WARM_MS = 5_000

/** Commits `rows` changes, a thousand a second, and lets the broker go on behind the last. */
export async function stalled(target: Target, { rows }: { readonly rows: number }): Promise<Stalled> {
  const broker = pidOf(/^\S*java .* kafka\.Kafka /)
  if (broker === null) throw new Error('no broker of this machine was found: it is to be stopped and continued')
  const stage = target.start()
  await pause(WARM_MS)
  const before = await recordsOf(target.runtime.raw)
  process.kill(broker, 'SIGSTOP')
  const begun = performance.now()
  try {
    for (let done = 0; done < rows; done += STEP) {
      await changeOrders(target.client, STEP, 1 + done)
      await pause((done + STEP) * (1_000 / RATE) - (performance.now() - begun))
    }
  } finally {
    process.kill(broker, 'SIGCONT')
  }
  const stalledSeconds = Math.round((performance.now() - begun) / 1000)
  const { rows: found } = await target.client.query<{ mib: number }>(
    `SELECT round(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) / 1048576)::int AS mib
     FROM pg_replication_slots WHERE slot_name = $1`,
    [target.namespace],
  )
  const continued = performance.now()
  while ((await recordsOf(target.runtime.raw)) < before + rows) await pause(20)
  const catchUpSeconds = Math.round((performance.now() - continued) / 100) / 10
  await target.untilCaptured()
  const peakRssMiB = stage.peakRssMiB()
  await stage.stop()
  return { rows, stalledSeconds, slotMiB: found[0]?.mib ?? 0, catchUpSeconds, peakRssMiB }
}
