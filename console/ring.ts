/** The last quarter of an hour, a sample every two seconds, in memory. */
import { HOPS, type Hop, type PipelineNow, type Sample } from './hops.ts'

export const SAMPLE_MS = 2_000
const KEPT = (15 * 60 * 1_000) / SAMPLE_MS

export interface Ring extends PipelineNow {
  add(sample: Sample): void
}

/** A hop's state is known for as long as the process runs, also when its samples are forgotten. */
export function ring(capacity = KEPT): Ring {
  const samples: Sample[] = []
  const since = new Map<Hop, number>()
  return {
    samples,
    since: (hop) => since.get(hop) ?? null,
    add: (sample) => {
      const before = samples.at(-1)
      for (const hop of HOPS) {
        if (before === undefined || before.hops[hop].state !== sample.hops[hop].state) since.set(hop, sample.at)
      }
      samples.push(sample)
      if (samples.length > capacity) samples.shift()
    },
  }
}

/**
 * A rate over time as at most `points` values between 0 and 1, oldest first: of each stretch the highest. A rare burst
 * is cut off, so that everything else does not lie on the ground beside it.
 */
export function curve(values: readonly (number | null)[], points: number): number[] {
  const ordered = values.map((value) => value ?? 0).toSorted((a, b) => a - b)
  const most = Math.min(ordered.at(-1) ?? 0, 2 * (ordered[Math.floor(ordered.length * 0.9)] ?? 0))
  if (values.length === 0 || most === 0) return []
  const per = Math.max(1, Math.ceil(values.length / points))
  const found: number[] = []
  for (let at = 0; at < values.length; at += per) {
    found.push(Math.min(1, Math.max(...values.slice(at, at + per).map((value) => value ?? 0)) / most))
  }
  return found
}
