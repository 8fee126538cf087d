/**
 * The unified model's dates and times, ISO 8601 text, as Avro's numbers and back: days and microseconds since 1970,
 * proleptic Gregorian, exact for the years 0001–9999.
 */
import { civilDays, dateText } from './pg-time.ts'

const DAY_SECONDS = 86_400

/** Days since 1970-01-01 of `YYYY-MM-DD`. */
export function isoDays(text: string): number {
  return civilDays(digits(text, 0, 4), digits(text, 5, 7), digits(text, 8, 10))
}

/** The inverse of {@link isoDays}. */
export function daysIso(days: number): string {
  return dateText(days)
}

/** Microseconds since 1970 of `YYYY-MM-DDTHH:MM:SS.ffffff`; a Z behind it changes nothing. */
export function isoMicros(text: string): number | bigint {
  const seconds =
    isoDays(text) * DAY_SECONDS + digits(text, 11, 13) * 3600 + digits(text, 14, 16) * 60 + digits(text, 17, 19)
  const micros = digits(text, 20, 26)
  const total = seconds * 1e6 + micros
  return Number.isSafeInteger(total) ? total : BigInt(seconds) * 1_000_000n + BigInt(micros)
}

/** The inverse of {@link isoMicros}, without a zone. */
export function microsIso(value: number | bigint): string {
  const [seconds, micros] = typeof value === 'number' ? parted(value) : partedBig(value)
  const days = Math.floor(seconds / DAY_SECONDS)
  const rest = seconds - days * DAY_SECONDS
  const time = `${two(Math.floor(rest / 3600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}`
  return `${dateText(days)}T${time}.${String(micros).padStart(6, '0')}`
}

function parted(value: number): [seconds: number, micros: number] {
  const micros = ((value % 1e6) + 1e6) % 1e6
  return [(value - micros) / 1e6, micros]
}

function partedBig(value: bigint): [seconds: number, micros: number] {
  const micros = ((value % 1_000_000n) + 1_000_000n) % 1_000_000n
  return [Number((value - micros) / 1_000_000n), Number(micros)]
}

function digits(text: string, from: number, to: number): number {
  let value = 0
  for (let i = from; i < to; i++) value = value * 10 + text.charCodeAt(i) - 48
  return value
}

function two(n: number): string {
  return n < 10 ? `0${n}` : String(n)
}
