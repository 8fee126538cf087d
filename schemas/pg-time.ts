/**
 * PostgreSQL's dates and timestamps as text (DateStyle ISO) and as Avro's numbers: days and microseconds since 1970,
 * proleptic Gregorian, exact over PostgreSQL's whole range. Infinities have no number: the functions answer null.
 * https://www.postgresql.org/docs/18/datatype-datetime.html
 */

const DAY_SECONDS = 86_400
const DATE = /^(\d{4,7})-(\d\d)-(\d\d)( BC)?$/
const TIMESTAMP = /^(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-]\d\d(?::\d\d(?::\d\d)?)?)?( BC)?$/

/** Days since 1970-01-01; null for an infinity. */
export function dateDays(text: string): number | null {
  const found = DATE.exec(text)
  if (found === null) return null
  return civilDays(year(found[1]!, found[4]), Number(found[2]), Number(found[3]))
}

/** The inverse of {@link dateDays}. */
export function dateText(days: number): string {
  const { y, m, d } = civil(days)
  return `${yearText(y)}-${two(m)}-${two(d)}${y > 0 ? '' : ' BC'}`
}

/** Microseconds since 1970; null for an infinity. A `timestamptz` is UTC text (`+00`). */
export function timestampMicros(text: string): number | bigint | null {
  const found = TIMESTAMP.exec(text)
  if (found === null) return null
  const days = civilDays(year(found[1]!, found[9]), Number(found[2]), Number(found[3]))
  const seconds =
    days * DAY_SECONDS + Number(found[4]) * 3600 + Number(found[5]) * 60 + Number(found[6]) - offset(found[8])
  const micros = Number((found[7] ?? '').padEnd(6, '0'))
  const total = seconds * 1e6 + micros
  return Number.isSafeInteger(total) ? total : BigInt(seconds) * 1_000_000n + BigInt(micros)
}

/** As PostgreSQL prints it: no fraction's trailing zeros; `zone` is `+00` for a timestamptz and empty otherwise. */
export function timestampText(micros: number | bigint, zone: '' | '+00'): string {
  let seconds: number
  let fraction: number
  if (typeof micros === 'bigint') {
    fraction = Number(((micros % 1_000_000n) + 1_000_000n) % 1_000_000n)
    seconds = Number((micros - BigInt(fraction)) / 1_000_000n)
  } else {
    seconds = Math.floor(micros / 1e6)
    fraction = micros - seconds * 1e6
  }
  const days = Math.floor(seconds / DAY_SECONDS)
  const rest = seconds - days * DAY_SECONDS
  const { y, m, d } = civil(days)
  const time = `${two(Math.floor(rest / 3600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}`
  const tail = fraction === 0 ? '' : `.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`
  return `${yearText(y)}-${two(m)}-${two(d)} ${time}${tail}${zone}${y > 0 ? '' : ' BC'}`
}

/** Year 1 BC is 0. */
function year(digits: string, bc: string | undefined): number {
  return bc === undefined ? Number(digits) : 1 - Number(digits)
}

function yearText(y: number): string {
  return String(y > 0 ? y : 1 - y).padStart(4, '0')
}

function offset(zone: string | undefined): number {
  if (zone === undefined) return 0
  const [hours = '0', minutes = '0', seconds = '0'] = zone.slice(1).split(':')
  const size = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
  return zone.startsWith('-') ? -size : size
}

function two(n: number): string {
  return n < 10 ? `0${n}` : String(n)
}

/** Days since 1970-01-01 of a date of the proleptic Gregorian calendar; the year starts in March to put the leap day last. */
export function civilDays(y: number, m: number, d: number): number {
  const shifted = m <= 2 ? y - 1 : y
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (m + (m > 2 ? -3 : 9)) + 2) / 5) + d - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

/** The inverse of {@link civilDays}. */
function civil(days: number): { y: number; m: number; d: number } {
  const z = days + 719_468
  const era = Math.floor(z / 146_097)
  const dayOfEra = z - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const mp = Math.floor((5 * dayOfYear + 2) / 153)
  const m = mp < 10 ? mp + 3 : mp - 9
  return { y: yearOfEra + era * 400 + (m <= 2 ? 1 : 0), m, d: dayOfYear - Math.floor((153 * mp + 2) / 5) + 1 }
}
