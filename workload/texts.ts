/** What people write: mostly plain, now and then what trips software that never met it. */
import type { Random } from './random.ts'

const SENTENCES = [
  'Staff attended and the area was made safe.',
  'The prisoner was spoken to on the wing and gave no explanation.',
  'Healthcare attended and no treatment was needed.',
  'The orderly officer was informed by radio.',
  'A search of the cell followed with nothing found.',
  'Two members of staff saw what happened from the landing.',
  'The prisoner returned to the cell without force.',
  'Video was secured and a statement taken.',
  'The duty governor was informed at the end of the shift.',
  'An entry was made in the wing observation book.',
]

const WORDS = [
  'landing', 'gate', 'search', 'statement', 'radio', 'officer', 'workshop', 'visit', 'escort', 'kitchen', 'yard', 'roll',
  'check', 'induction', 'library', 'property', 'reception', 'unlock', 'evening', 'transfer', 'wing', 'cell', 'report',
] // prettier-ignore

/** The kinds of text that each need a reason: alphabets, quoting, length beyond a page, and the legacy placeholder. */
export const ODD_TEXTS = ['unicode', 'quotes', 'whitespace', 'long', 'placeholder', 'empty'] as const
export type OddText = (typeof ODD_TEXTS)[number]

export const NO_DETAILS = 'NO DETAILS GIVEN'

export function sentences(random: Random, count: number): string {
  return Array.from({ length: count }, () => random.pick(SENTENCES)).join(' ')
}

export function oddText(random: Random, kind: OddText): string {
  switch (kind) {
    case 'unicode':
      return `Réunion – naïve “façade” Ωμέγα 日本語 עברית 🚨👩🏽‍⚕️ e\u0301 \u200b ${sentences(random, 1)}`
    case 'quotes':
      return `He said "it's 'mine'"; \\ \\N \\x41 $1 $$ %s {a,b} '); -- ${sentences(random, 1)}`
    case 'whitespace':
      return `First line\nsecond line\r\n\tindented, tab\tinside, trailing  \n\n${sentences(random, 1)} `
    case 'long':
      return longText(random)
    case 'placeholder':
      return NO_DETAILS
    case 'empty':
      return ''
  }
}

/** Over 8 kB and hard to compress, so that PostgreSQL stores it out of line. */
export function longText(random: Random): string {
  const parts: string[] = []
  for (let length = 0; length < 14_000;) {
    const part = `${random.pick(WORDS)} ${random.int(0, 2 ** 31).toString(36)}`
    parts.push(part)
    length += part.length + 1
  }
  return parts.join(' ')
}

/** Cut to so many bytes of UTF-8 without splitting a character: what a column of NOMIS takes. */
export function cutBytes(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text
  let end = 0
  let used = 0
  for (const character of text) {
    used += Buffer.byteLength(character)
    if (used > bytes) break
    end += character.length
  }
  return text.slice(0, end)
}
