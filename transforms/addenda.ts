/**
 * The details of a NOMIS incident: the description, and behind it one entry for each addition that somebody made,
 * `User:Last,First Date:05-JUL-2004 10:15Text` (rule legacy.addenda).
 */
import { london, type LondonTime } from './london.ts'

export interface Addendum {
  readonly lastName: string
  readonly firstName: string
  readonly created: LondonTime
  readonly text: string
}

export interface Details {
  readonly description: string | null
  /** In the order of the text. */
  readonly addenda: readonly Addendum[]
}

const ENTRY = 'User:'

/** Description and additions. Where one entry has another form, all of the text is the description. */
export function splitDetails(text: string | null): Details {
  if (text === null || !text.includes(ENTRY)) return { description: text, addenda: [] }
  const [description = '', ...entries] = text.split(ENTRY)
  const addenda: Addendum[] = []
  for (const entry of entries) {
    const addendum = readEntry(entry)
    if (addendum === null) return { description: text, addenda: [] }
    addenda.push(addendum)
  }
  return { description, addenda }
}

const HEADER =
  /^(?<last>[^,\n]*),(?<first>.*?) Date:(?:(?<day>\d\d)-(?<name>[A-Za-z]{3})-(?<year>\d{4})|(?<day>\d\d)\/(?<month>\d\d)\/(?<year>\d{4})) (?<time>\d\d:\d\d)/

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC']

/** Null where it is not of the form, or its date and time are none. */
function readEntry(entry: string): Addendum | null {
  const found = HEADER.exec(entry)
  if (found === null) return null
  const { last = '', first = '', day, name, month, year, time } = found.groups!
  const number = name === undefined ? month : String(MONTHS.indexOf(name.toUpperCase()) + 1).padStart(2, '0')
  const created = london(`${year}-${number}-${day} ${time}:00`)
  return created === null ? null : { lastName: last, firstName: first, created, text: entry.slice(found[0].length) }
}
