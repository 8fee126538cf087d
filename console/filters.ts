/** How pages write numbers, times and codes. */
import nunjucks, { type Environment } from 'nunjucks'

const format = (timeZone: string, month: 'long' | 'short'): Intl.DateTimeFormat =>
  new Intl.DateTimeFormat('en-GB', {
    timeZone,
    day: 'numeric',
    month,
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  })

/** UTC is for what is wall time already. */
const FORMATS = {
  long: { zoned: format('Europe/London', 'long'), asItIs: format('UTC', 'long') },
  short: { zoned: format('Europe/London', 'short'), asItIs: format('UTC', 'short') },
} as const

export function filters(environment: Environment): void {
  environment.addFilter('number', (value: unknown) => Number(value ?? 0).toLocaleString('en-GB'))
  environment.addFilter('number1', (value: unknown) =>
    Number(value ?? 0).toLocaleString('en-GB', { minimumFractionDigits: 1, maximumFractionDigits: 1 }),
  )
  environment.addFilter('bytes', (value: unknown) => bytes(Number(value ?? 0)))
  environment.addFilter('seconds', (value: unknown) => duration(Number(value ?? 0)))
  environment.addFilter('moment', (value: unknown) => moment(value))
  environment.addFilter('brief', (value: unknown) => brief(value))
  environment.addFilter('count', (value: unknown, one: string, more?: string) => count(Number(value ?? 0), one, more))
  environment.addFilter('words', (value: string | null) => words(value ?? ''))
  environment.addFilter('breakable', (value: string) =>
    breakable(value, environment.getFilter('escape') as (text: string) => unknown),
  )
}

export function bytes(value: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB']
  const power = value < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3))
  return `${(value / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} seconds`
  if (seconds < 3600) return count(Math.round(seconds / 60), 'minute')
  return seconds < 172_800 ? count(Math.round(seconds / 3600), 'hour') : count(Math.round(seconds / 86_400), 'day')
}

/** `1 row`, `2 rows`; `more` where an s does not make the plural. */
function count(value: number, one: string, more = `${one}s`): string {
  return `${value.toLocaleString('en-GB')} ${value === 1 ? one : more}`
}

/** For a table: the month is short, and only between day and time may the line break. */
function brief(value: unknown): string {
  const [day, time] = moment(value, 'short').split(', ')
  return time === undefined ? day! : `${day!.replaceAll(' ', '\u00a0')}, ${time}`
}

/** An instant in London; a text without zone is wall time already and stays. */
export function moment(value: unknown, length: 'long' | 'short' = 'long'): string {
  if (value === null || value === undefined || value === '') return ''
  const text = value instanceof Date ? value.toISOString() : typeof value === 'string' ? value : ''
  const zoned = /(Z|[+-]\d\d:?\d\d)$/.test(text)
  const date = new Date(zoned ? text : `${text}Z`)
  if (Number.isNaN(date.getTime())) return text
  const { [zoned ? 'zoned' : 'asItIs']: how } = FORMATS[length]
  return how.format(date)
}

/** AWAITING_REVIEW → Awaiting review */
export function words(code: string): string {
  const text = code.replaceAll('_', ' ').toLowerCase()
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** A long name that may break behind its dots and underscores and before its capitals; `escape` is the environment's own. */
function breakable(name: string, escape: (text: string) => unknown): nunjucks.runtime.SafeString {
  return new nunjucks.runtime.SafeString(String(escape(name)).replaceAll(/[._]|[a-z](?=[A-Z])/g, '$&<wbr>'))
}
