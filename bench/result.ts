/** What every benchmark prints. */
export interface Result {
  readonly name: string
  readonly what: string
  readonly rows: number
  /** Of the median run. */
  readonly seconds: number
  readonly rowsPerSecond: number
  readonly cpuMicrosPerRow: number
  readonly peakRssMiB: number
  readonly runs: readonly number[]
}

export interface BenchOptions {
  /** One of the benchmark's parts; all of them when it is absent. */
  readonly what?: string
  readonly rows: number
  readonly runs: number
  /** What to compare with, in the same run. */
  readonly against?: string
}

export interface Run {
  /** Between the first progress seen and the end. */
  readonly rows: number
  readonly seconds: number
  readonly cpuMicros: number
  readonly peakRssMiB: number
}

/** The run with the median time. */
export function resultOf(name: string, what: string, runs: readonly Run[]): Result {
  const sorted = runs.toSorted((a, b) => a.seconds / a.rows - b.seconds / b.rows)
  const median = sorted[Math.floor(sorted.length / 2)]!
  const { rows } = median
  return {
    name,
    what,
    rows,
    seconds: round(median.seconds),
    rowsPerSecond: Math.round(rows / median.seconds),
    cpuMicrosPerRow: round(median.cpuMicros / rows),
    peakRssMiB: Math.max(...runs.map((run) => run.peakRssMiB)),
    runs: runs.map((run) => round(run.seconds)),
  }
}

function round(n: number): number {
  return Math.round(n * 100) / 100
}
