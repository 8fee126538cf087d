/** Progress on a terminal; nothing where stderr is not one. */
import { MultiBar, Presets, type SingleBar } from 'cli-progress'

export type TableProgress = (table: string, rows: number, expected: number) => void

/** A bar for each table of a snapshot, with rate and time left. */
export function tableProgress(): TableProgress {
  if (!process.stderr.isTTY) return () => {}
  const bars = new MultiBar(
    {
      format: '  {bar} {percentage}% {table} {value} rows, {eta_formatted} left',
      hideCursor: true,
      clearOnComplete: true,
      stream: process.stderr,
    },
    Presets.shades_classic,
  )
  const open = new Map<string, SingleBar>()
  return (table, rows, expected) => {
    const bar = open.get(table) ?? bars.create(Math.max(expected, rows, 1), 0, { table })
    open.set(table, bar)
    bar.setTotal(Math.max(expected, rows, 1))
    bar.update(rows, { table })
    if (rows >= expected) bars.stop()
  }
}

/** One bar for a known number of steps. */
export function stepProgress(what: string, total: number): (done: number) => void {
  if (!process.stderr.isTTY || total === 0) return () => {}
  const bars = new MultiBar(
    {
      format: `  {bar} {percentage}% ${what} {value}/{total}, {eta_formatted} left`,
      hideCursor: true,
      stream: process.stderr,
    },
    Presets.shades_classic,
  )
  const bar = bars.create(total, 0)
  return (done) => {
    bar.update(done)
    if (done >= total) bars.stop()
  }
}

/** One bar at a time for whatever is being read. */
export function rowProgress(): (what: string, rows: number, expected: number) => void {
  if (!process.stderr.isTTY) return () => {}
  const bars = new MultiBar(
    {
      format: '  {bar} {percentage}% {what} {value} rows, {eta_formatted} left',
      hideCursor: true,
      clearOnComplete: true,
      stream: process.stderr,
    },
    Presets.shades_classic,
  )
  const open = new Map<string, SingleBar>()
  return (what, rows, expected) => {
    const total = Math.max(expected, rows, 1)
    const bar = open.get(what) ?? bars.create(total, 0, { what })
    open.set(what, bar)
    bar.setTotal(total)
    bar.update(rows, { what })
  }
}
