/** Who reads what (schemas/consumers.json), so that a change can name whom it concerns. */
import { readFileSync } from 'node:fs'

export interface Reading {
  /** A topic, or an output of the policy. */
  readonly from: string
  /** Fields by record or table; `*` for all. */
  readonly fields: Readonly<Record<string, readonly string[]>>
}

export interface Consumer {
  readonly consumer: string
  readonly reads: readonly Reading[]
}

export const CONSUMERS: readonly Consumer[] = JSON.parse(
  readFileSync(new URL('consumers.json', import.meta.url), 'utf8'),
) as Consumer[]

/** Those that read any field of the record there. */
export function readersOf(from: string, record: string, consumers = CONSUMERS): string[] {
  return consumers
    .filter(({ reads }) => reads.some((each) => each.from === from && each.fields[record] !== undefined))
    .map(({ consumer }) => consumer)
}

/** Those that read this field of the record there. */
export function readersOfField(from: string, record: string, field: string, consumers = CONSUMERS): string[] {
  const has = ({ from: place, fields }: Reading): boolean =>
    place === from && (fields[record]?.some((each) => each === '*' || each === field) ?? false)
  return consumers.filter(({ reads }) => reads.some(has)).map(({ consumer }) => consumer)
}
