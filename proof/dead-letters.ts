/** What could not be processed, as the dead letter topic tells it: by row, by code, and against today's rules. */
import type { RowChange } from '../core/change.ts'
import { tableName } from '../core/change.ts'
import { deadLetterCodec, deadLetterDecoder, type DeadLetter, type Skipped } from '../schemas/dead-letter.ts'
import { rawDecoder } from '../schemas/raw-decoder.ts'
import type { Registry } from '../schemas/registry.ts'
import { unify } from '../transforms/unify.ts'
import type { Topic } from '../transport/topic.ts'
import { scanTopic } from './topic-scan.ts'

export interface Letter extends DeadLetter {
  /** `partition/offset` of the record in the raw topic that it is about: what commands name it by. */
  readonly id: string
  /** When the source committed: milliseconds since the Unix epoch. */
  readonly at: number
}

/** One of each refused record, in order of time; a record that was skipped says so. */
export async function readLetters(topic: Topic, registry: Registry): Promise<Letter[]> {
  const decoder = deadLetterDecoder(registry)
  const letters = new Map<string, Letter>()
  await scanTopic({
    topic,
    take: async (records) => {
      for (const record of records) {
        const letter = await decoder.letter(record)
        const id = idOf(letter)
        const skipped = letter.skipped ?? letters.get(id)?.skipped ?? null
        letters.set(id, { ...letter, id, at: record.timestampMs, skipped })
      }
    },
  })
  return [...letters.values()].toSorted((a, b) => a.at - b.at)
}

export interface LetterGroup {
  readonly code: string
  readonly letters: number
  readonly skipped: number
  /** ISO 8601, of the source's commits. */
  readonly firstSeen: string
  readonly lastSeen: string
  /** References, each once; a letter without one counts in none. */
  readonly incidents: readonly string[]
}

/** By code, the most letters first. */
export function groupLetters(letters: readonly Letter[]): LetterGroup[] {
  return [...Map.groupBy(letters, ({ code }) => code)]
    .map(([code, its]) => ({
      code,
      letters: its.length,
      skipped: its.filter(({ skipped }) => skipped !== null).length,
      firstSeen: new Date(its[0]!.at).toISOString(),
      lastSeen: new Date(its.at(-1)!.at).toISOString(),
      incidents: [...new Set(its.flatMap(({ reference }) => (reference === null ? [] : [reference])))].toSorted(),
    }))
    .toSorted((a, b) => b.letters - a.letters)
}

/** What today's rules make of the record that a letter is about; never a cell of it. */
export type Outcome =
  | { readonly outcome: 'refused'; readonly code: string }
  | { readonly outcome: 'mapped'; readonly rows: readonly { entity: string; id: string; op: string }[] }
  /** The topic no longer has the record: compaction kept a newer one of the same row, or its time is over. */
  | { readonly outcome: 'gone' }

export interface Rehearsal {
  readonly letter: Letter
  readonly result: Outcome
  /** The row's primary key, in key order; null where neither record nor letter tells it. */
  readonly key: readonly string[] | null
}

/** Reads each letter's record again from the raw topic, and unifies it. MALFORMED_RECORD, REGISTRY. */
export async function rehearse(letters: readonly Letter[], raw: Topic, registry: Registry): Promise<Rehearsal[]> {
  const wanted = new Map(letters.map((letter) => [letter.id, letter]))
  const changes = new Map<string, RowChange>()
  const decoder = rawDecoder(registry)
  await scanTopic({
    topic: raw,
    from: Map.groupBy(letters, ({ partition }) => partition)
      .entries()
      .reduce(
        (first, [partition, its]) => first.set(partition, Math.min(...its.map(({ offset }) => offset))),
        new Map(Array.from({ length: raw.partitions }, (_, partition) => [partition, UNREAD])),
      ),
    take: async (records) => {
      for (const record of records) {
        const id = idOf(record)
        if (!wanted.has(id)) continue
        const [change] = await decoder.decode([record])
        if (change !== undefined && change.op !== 'm') changes.set(id, change)
      }
    },
  })
  return letters.map((letter) => {
    const change = changes.get(letter.id)
    if (change === undefined) return { letter, result: { outcome: 'gone' }, key: keyOf(letter) }
    return { letter, result: outcomeOf(change), key: keyOfChange(change) ?? keyOf(letter) }
  })
}

function outcomeOf(change: RowChange): Outcome {
  const { rows, refusal } = unify(change)
  if (refusal !== null) return { outcome: 'refused', code: refusal.code }
  return { outcome: 'mapped', rows: rows.map(({ entity, id, op }) => ({ entity, id, op })) }
}

function keyOfChange({ table, before, after }: RowChange): string[] | null {
  const row = after ?? before
  return row === null || table.key.length === 0 ? null : table.key.map((column) => String(row[column]))
}

/** The key as text stands with slashes between its values; none of the captured tables has one in a value. */
function keyOf({ key }: Letter): string[] | null {
  return key === null ? null : key.split('/')
}

/** Adds a record that says who gave a row up, and why: the letter stays, and its incident stays incomplete. */
export async function skipLetter(letter: Letter, skipped: Skipped, topic: Topic, registry: Registry): Promise<void> {
  const codec = await deadLetterCodec(registry, topic.name)
  const { id: _id, at, ...plain } = letter
  await topic.write([codec.message({ ...plain, skipped }, at)])
}

/** `schema.table` of the row. */
export function tableOf(letter: Letter): string {
  return tableName({ schema: letter.schema, name: letter.table })
}

function idOf({ partition, offset }: { readonly partition: number; readonly offset: number }): string {
  return `${partition}/${offset}`
}

/** Behind every record: of a partition without a letter nothing is read. */
const UNREAD = Number.MAX_SAFE_INTEGER
