/**
 * Changes whose record would be larger than the raw topic takes. Such a record is written without its largest values,
 * and says of each how long it was and what its digest is: order, key, incident and every other value still go their
 * way, and readers know that the row is not whole.
 */
import { createHash } from 'node:crypto'
import {
  image,
  imageBytes,
  type Change,
  type OmittedValue,
  type RowChange,
  type Table,
  type Tuple,
} from '../core/change.ts'

/** Type `bytea`, whose text is twice as long as its bytes. */
const BYTEA = 17
const NULL_KIND = 0x6e
/** A value's branch and length in Avro, and what a short number can be longer in Avro than as text. */
const VALUE_OVERHEAD = 11
/** What an omitted value leaves in the record: nothing below is worth leaving out. */
const OMITTED_BYTES = 400
/** Everything in a record but its values and names. */
const RECORD_OVERHEAD = 1024

/** A bound that the records of nearly all changes are far below, for the price of two subtractions. */
export function mayNotFit(change: Change<Tuple>, maxBytes: number): boolean {
  return 4 * imageBytes(change) > maxBytes
}

/**
 * The change without as many of its largest values as its record, key included, needs to have at most `maxBytes`; null
 * when it fits as it is. The row after comes first: of the row before nothing depends on but evidence. Never a column of
 * the key. Deterministic: the same change and bound give the same record.
 */
export function fitted(change: RowChange<Tuple>, maxBytes: number): RowChange<Tuple> | null {
  const { table, before, after } = change
  const main = sizesOf(table, image(change))
  const sizes = {
    before: before === null ? [] : sizesOf(table, before),
    after: after === null ? [] : sizesOf(table, after),
  }
  const keys = table.key.map((name) => table.columns.findIndex((column) => column.name === name))
  const names = table.schema.length + table.name.length + (change.reference?.length ?? 0)
  const room = maxBytes - RECORD_OVERHEAD - 4 * names - keys.reduce((sum, i) => sum + (main[i] ?? 0), 0)
  const total = sum(sizes.before) + sum(sizes.after)
  if (total <= room) return null

  const cuts = { before: new Set<number>(), after: new Set<number>() }
  const cut = (of: 'before' | 'after', most: number): void => {
    const mine = sizes[of]
    while (sum(mine) > most) {
      const largest = indexOfLargest(mine, keys)
      if (largest === -1) return
      mine[largest] = OMITTED_BYTES
      cuts[of].add(largest)
    }
  }
  cut('after', room)
  cut('before', room - sum(sizes.after))
  cut('after', room - sum(sizes.before))
  return {
    ...change,
    before: without(before, cuts.before),
    after: without(after, cuts.after),
    omitted: [...told(table, 'before', before, cuts.before), ...told(table, 'after', after, cuts.after)],
  }
}

/** By column, at least what its value takes in the record. */
function sizesOf(table: Table, tuple: Tuple): number[] {
  return [...values(tuple)].map(({ start, end }, i) => {
    const length = end - start
    return (table.columns[i]?.oid === BYTEA ? Math.ceil(length / 2) : length) + VALUE_OVERHEAD
  })
}

function indexOfLargest(sizes: readonly number[], keys: readonly number[]): number {
  let found = -1
  for (const [i, size] of sizes.entries())
    if (size > OMITTED_BYTES && !keys.includes(i) && size > (sizes[found] ?? 0)) found = i
  return found
}

function sum(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total + size, 0)
}

interface ValueAt {
  readonly isNull: boolean
  readonly start: number
  readonly end: number
}

/** Where each column's text lies. A tuple that is not whole ends early: who encodes it refuses it. */
function* values({ bytes, start, end }: Tuple): Generator<ValueAt> {
  const count = bytes.readUInt16BE(start)
  let at = start + 2
  for (let i = 0; i < count && at < end; i++) {
    if (bytes[at] === NULL_KIND) {
      at += 1
      yield { isNull: true, start: at, end: at }
      continue
    }
    if (at + 5 > end) return
    const from = at + 5
    at = from + bytes.readUInt32BE(at + 1)
    yield { isNull: false, start: from, end: Math.min(at, end) }
  }
}

/** The tuple with nulls in these columns. */
function without(tuple: Tuple | null, cuts: ReadonlySet<number>): Tuple | null {
  if (tuple === null || cuts.size === 0) return tuple
  const { bytes, start } = tuple
  const pieces = [bytes.subarray(start, start + 2)]
  for (const [i, value] of [...values(tuple)].entries()) {
    if (value.isNull || cuts.has(i)) pieces.push(NULL)
    else pieces.push(bytes.subarray(value.start - 5, value.end))
  }
  const whole = Buffer.concat(pieces)
  return { bytes: whole, start: 0, end: whole.length }
}

const NULL = Buffer.of(NULL_KIND)

function told(table: Table, of: 'before' | 'after', tuple: Tuple | null, cuts: ReadonlySet<number>): OmittedValue[] {
  if (tuple === null || cuts.size === 0) return []
  return [...values(tuple)].flatMap(({ start, end }, i) =>
    cuts.has(i)
      ? [
          {
            image: of,
            column: table.columns[i]!.name,
            bytes: end - start,
            sha256: createHash('sha256').update(tuple.bytes.subarray(start, end)).digest('hex'),
          },
        ]
      : [],
  )
}
