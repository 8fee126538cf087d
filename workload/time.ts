/** Wall time of the synthetic world: text without zone, counted from a day that is given, never from the clock. */

/** The day on which seeding ends and the load begins, unless another is given. */
export const FIRST_DAY = '2026-01-01'

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

/** Milliseconds of a wall time, as if it were UTC. */
export function millis(wallTime: string): number {
  return Date.parse(wallTime.length === 10 ? `${wallTime}T00:00:00Z` : `${wallTime.slice(0, 23)}Z`)
}

/** `2026-01-01T12:34:56.789012` */
export function wall(time: number, micros = 0): string {
  return `${new Date(time).toISOString().slice(0, 23)}${String(micros).padStart(3, '0')}`
}

/** To the second: what a NOMIS date holds. */
export function seconds(wallTime: string): string {
  return wallTime.slice(0, 19)
}

/** Half past one in the nights when London's clocks change: once it never was, once it was twice. */
export const CLOCK_CHANGES = {
  gap: ['2024-03-31T01:30:00.000000', '2025-03-30T01:30:00.000000'],
  overlap: ['2024-10-27T01:30:00.000000', '2025-10-26T01:30:00.000000'],
} as const
