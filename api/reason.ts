/** Why somebody looks: `X-Reason`. A header holds no letters beyond Latin, so its text comes percent-encoded. */
import { z } from 'zod'

const MOST_CHARACTERS = 500
/** Each character may have come as four encoded bytes. */
const MOST_BYTES = MOST_CHARACTERS * 12

const lengthMessage = `X-Reason must have at most ${MOST_CHARACTERS} characters`
const formMessage = 'X-Reason must be text in one line, its % and what is not Latin percent-encoded as UTF-8'

/** Controls, and what would turn the text around where it is shown. */
const UNREADABLE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u

/** The text behind a header; null for one that is none. */
export function decodeReason(header: string): string | null {
  try {
    const text = decodeURIComponent(header)
    return UNREADABLE.test(text) ? null : text
  } catch {
    return null
  }
}

/** Of every route that asks for a role. Other headers pass. */
export const ReasonHeaders = z.looseObject({
  'x-reason': z
    .string()
    .max(MOST_BYTES, lengthMessage)
    .refine((given) => decodeReason(given) !== null, { error: formMessage, abort: true })
    .refine((given) => (decodeReason(given)?.length ?? 0) <= MOST_CHARACTERS, lengthMessage)
    .optional()
    .describe(`Why, percent-encoded; at most ${MOST_CHARACTERS} characters are kept in the audit record.`),
})

/** As it is kept; null where none was given, or none that can be read. */
export function reasonOf(headers: Readonly<Record<string, unknown>>): string | null {
  const given = headers['x-reason']
  if (typeof given !== 'string' || given === '' || given.length > MOST_BYTES) return null
  return decodeReason(given)?.slice(0, MOST_CHARACTERS) ?? null
}
