/**
 * London wall time to UTC. The sources keep local time without a zone, so twice a year it does not say which instant
 * it means: autumn's doubled hour is taken as its first pass (BST), an hour that spring leaves out as one hour later.
 */

/** One moment in both readings, ISO 8601 to the microsecond. */
export interface LondonTime {
  /** `2024-07-01T11:34:56.789000Z` */
  readonly instant: string
  /** `2024-07-01T12:34:56.789000` */
  readonly local: string
}

/** Years outside 0001–9999, BC and infinity do not match. */
const TIMESTAMP = /^(?!0000)\d{4}-\d\d-\d\d (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?$/

/** PostgreSQL's text of a timestamp without time zone; null when it is infinite or outside the years 0001–9999. */
export function london(text: string): LondonTime | null {
  if (!TIMESTAMP.test(text)) return null
  const date = text.slice(0, 10)
  const rest = text.slice(13, 19) + fraction(text)
  const local = `${date}T${text.slice(11, 13)}${rest}`
  if (text < STANDARD_TIME_BEGINS) return beforeStandardTime(text, local)
  const hour = hoursOf(date)?.[(text.charCodeAt(11) - 48) * 10 + text.charCodeAt(12) - 48]
  if (hour === undefined) return null
  return { instant: `${hour}${rest}Z`, local }
}

/** Six decimals with their point. */
function fraction(text: string): string {
  return text.length === 19 ? '.000000' : text.slice(19).padEnd(7, '0')
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/**
 * An instant as London's clock shows it, with its offset: `2024-07-01T12:34:56.789000+01:00`. `micros` is microseconds
 * since the Unix epoch.
 */
export function londonOffsetTime(micros: number): string {
  const ms = Math.floor(micros / 1000)
  const offset = offsetAt(Math.floor(ms / HOUR) * HOUR)
  const rest = String(micros - Math.floor(micros / 1e6) * 1e6).padStart(6, '0')
  return `${isoSeconds(ms + offset)}.${rest}+${String(offset / HOUR).padStart(2, '0')}:00`
}

/** London went from its own mean time, 75 s behind Greenwich, to Greenwich's at midnight: 75 s were left out. */
const STANDARD_TIME_BEGINS = '1847-12-01 00:01:15'
const MEAN_TIME_BEHIND_MS = 75_000

function beforeStandardTime(text: string, local: string): LondonTime | null {
  const wall = wallClock(text.slice(0, 10))
  if (wall === null) return null
  const ms =
    wall + (Number(text.slice(11, 13)) * 60 + Number(text.slice(14, 16))) * MINUTE + Number(text.slice(17, 19)) * 1000
  return { instant: `${isoSeconds(ms + MEAN_TIME_BEHIND_MS)}${local.slice(19)}Z`, local }
}

const DATE = /^(?!0000)\d{4}-\d\d-\d\d(?: [\d:.]+)?$/

/**
 * The date of PostgreSQL's text of a date or a timestamp, `2024-07-01`; null when it is infinite or outside the years
 * 0001–9999.
 */
export function calendarDate(text: string): string | null {
  return DATE.test(text) && exists(text.slice(0, 10)) ? text.slice(0, 10) : null
}

const existing = new Map<string, boolean>()

function exists(date: string): boolean {
  const known = existing.get(date)
  if (known !== undefined) return known
  if (existing.size >= DAYS_KEPT) existing.clear()
  const found = wallClock(date) !== null
  existing.set(date, found)
  return found
}

/** By date: the UTC date and hour of each of its wall hours. Since 1847 London changes its clock on full hours only. */
const days = new Map<string, readonly string[] | null>()
/** Forty-five years; an incident database spans fewer. */
const DAYS_KEPT = 1 << 14

function hoursOf(date: string): readonly string[] | null {
  const known = days.get(date)
  if (known !== undefined) return known
  if (days.size >= DAYS_KEPT) days.clear()
  const midnight = wallClock(date)
  const hours = midnight === null ? null : utcHours(midnight)
  days.set(date, hours)
  return hours
}

/** The clock never changes twice within three days, so where both ends agree it does not change between them. */
function utcHours(midnight: number): string[] {
  const before = offsetAt(midnight - DAY)
  const steady = before === offsetAt(midnight + 2 * DAY)
  return Array.from({ length: 24 }, (_, hour) => {
    const wall = midnight + hour * 60 * MINUTE
    return steady ? isoSeconds(wall - before).slice(0, 13) : utcHour(wall)
  })
}

/** `2024-07-01T11` for the wall hour 2024-07-01T12. */
function utcHour(wall: number): string {
  const before = offsetAt(wall - DAY)
  const after = offsetAt(wall + DAY)
  // Of two instants with this wall time the earlier; where there is none, the clock that was about to change.
  const first = Math.max(before, after)
  const offset = [first, Math.min(before, after)].find((each) => offsetAt(wall - each) === each) ?? before
  return isoSeconds(wall - offset).slice(0, 13)
}

const LONDON = new Intl.DateTimeFormat('en-GB', {
  timeZone: 'Europe/London',
  hourCycle: 'h23',
  year: 'numeric',
  month: 'numeric',
  day: 'numeric',
  hour: 'numeric',
  minute: 'numeric',
  second: 'numeric',
})

const PARTS = ['year', 'month', 'day', 'hour', 'minute', 'second'] as const
const offsets = new Map<number, number>()

/** How far London is ahead of UTC at this instant, in milliseconds. */
function offsetAt(instant: number): number {
  const known = offsets.get(instant)
  if (known !== undefined) return known
  if (offsets.size >= DAYS_KEPT) offsets.clear()
  const parts = Object.fromEntries(LONDON.formatToParts(instant).map(({ type, value }) => [type, Number(value)]))
  const { year, month, day, hour, minute, second } = parts as Record<(typeof PARTS)[number], number>
  const wall = Date.UTC(year, month - 1, day, hour, minute, second)
  offsets.set(instant, wall - instant)
  return wall - instant
}

/** Midnight of this date as if London were UTC, in milliseconds since the Unix epoch; null when there is no such date. */
function wallClock(date: string): number | null {
  const ms = Date.parse(`${date}T00:00:00Z`)
  return Number.isNaN(ms) || isoSeconds(ms).slice(0, 10) !== date ? null : ms
}

/** `2024-07-01T11:34:56` */
function isoSeconds(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19)
}
