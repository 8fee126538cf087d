/** Rows on their way into the store: COPY into a temporary table an entity, then merged in bulk (operational-merge.ts). */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { isStreamed, keyText, tableName, image, type Op, type RowChange } from '../core/change.ts'
import { ENTITIES, type Entity, type EntityRow, type Field, type IncidentChange } from '../core/incident.ts'
import { microsIso } from '../schemas/iso-time.ts'
import type { Projection, Projections } from '../schemas/policy/projection.ts'
import { rowId } from '../transforms/identity.ts'
import { amendment, rowsBefore, STAGED_AMENDMENT } from './operational-amendment.ts'
import { fieldColumns, LINEAGE, names, POSITION_TYPE, type Column } from './operational-layout.ts'

/** What lies in the temporary tables, or will once it is flushed, since the last `clear`. */
export interface Staged {
  /** How many rows and refusals. */
  readonly size: number
  /** The statement that empties the tables in which they lie: the last of their transaction, asked for once. */
  emptying(): string
  readonly entities: ReadonlySet<Entity>
  /** Of which entities some rows are deletes. */
  readonly deleting: ReadonlySet<Entity>
  /** Of which entities some rows were read outside the stream. */
  readonly reading: ReadonlySet<Entity>
  /** Whether there are source rows without rows of theirs: refused, or deleted while they could not be mapped. */
  readonly unmapped: boolean
}

export interface Staging extends Staged {
  add(item: IncidentChange): void
  /** What has been added since, for `copyStaged`. */
  take(): readonly Copy[]
  /** The statement that makes a connection's temporary tables. */
  readonly create: string
  /** The statement that takes the rows of these partitions out of them. */
  forget(partitions: readonly number[]): string
  /** What was added belongs to a transaction that ends: the next begins with nothing. */
  clear(): void
}

/** Text for one temporary table. */
export interface Copy {
  readonly statement: string
  readonly chunks: readonly Buffer[]
}

/** Within the connection's open transaction. */
export async function copyStaged(client: pg.Client, copies: readonly Copy[]): Promise<void> {
  for (const { statement, chunks } of copies) {
    await pipeline(Readable.from(chunks, { objectMode: true }), client.query(copyFrom(statement)))
  }
}

export function staging(projections: Projections): Staging {
  const tables = new Map(ENTITIES.map((entity) => [entity, entityStage(projections[entity])]))
  const unmapped = stage('staged_unmapped', UNMAPPED)
  const stages = [...[...tables.values()].map(({ target }) => target), unmapped]
  const entities = new Set<Entity>()
  const deleting = new Set<Entity>()
  const reading = new Set<Entity>()
  let anyUnmapped = false
  let size = 0
  /** The tables with dead rows, and how many those are. */
  const worn = new Set<string>()
  let deleted = 0
  let lineage = lineageText()

  return {
    add(item) {
      const { change, rows, refusal, absence } = item
      if (change.op === 'm') return
      size += Math.max(1, rows.length)
      const text = lineage(change)
      const earlier = rows.length === 0 ? rows : rowsBefore(change)
      for (const row of rows) {
        entities.add(row.entity)
        if (row.op === 'delete') deleting.add(row.entity)
        if (!isStreamed(change)) reading.add(row.entity)
        tables.get(row.entity)!.append(row, change.op, text, earlier)
      }
      if (absence !== null || (refusal === null && (change.op !== 'd' || rows.length > 0))) return
      anyUnmapped = true
      unmapped.append(`${unmappedText(change, item)}\n`)
    },
    get size() {
      return size
    },
    emptying() {
      const used = [...entities].map((entity) => tables.get(entity)!.target.name)
      if (anyUnmapped) used.push(unmapped.name)
      for (const name of used) worn.add(name)
      deleted += size
      if (deleted <= MOST_DELETED) return used.map((name) => `DELETE FROM ${name}`).join(';')
      const all = [...worn].join(', ')
      worn.clear()
      deleted = 0
      return `TRUNCATE ${all}`
    },
    entities,
    deleting,
    reading,
    get unmapped() {
      return anyUnmapped
    },
    take: () => stages.flatMap((each) => each.take()),
    create: stages.map((each) => each.create).join(';'),
    forget: (partitions) =>
      stages.map(({ name }) => `DELETE FROM ${name} WHERE "partition" IN (${partitions.join(', ')})`).join(';'),
    clear() {
      entities.clear()
      deleting.clear()
      reading.clear()
      anyUnmapped = false
      size = 0
      for (const each of stages) each.take()
      lineage = lineageText()
    },
  }
}

/**
 * So many rows leave their temporary tables as dead ones before the files are given back. ON COMMIT would give back those
 * of every table, used or not, behind each write, which is dearer than a small write itself.
 */
const MOST_DELETED = 1_000

interface Stage {
  readonly name: string
  readonly create: string
  append(line: string): void
  /** Nothing when nothing was appended. */
  take(): Copy[]
}

const CHUNK_BYTES = 1 << 17
/** Of UTF-8, for each UTF-16 unit. */
const MOST_BYTES = 3

/** Lines become bytes one by one: text that waited as text would be what the collector copies. */
function stage(name: string, columns: readonly Column[]): Stage {
  const definitions = columns.map(({ name: column, type }) => `"${column}" ${type}`).join(', ')
  const statement = `COPY ${name} (${names(columns)}) FROM STDIN`
  let chunks: Buffer[] = []
  let open = EMPTY
  let at = 0

  function close(): void {
    if (at > 0) chunks.push(open.subarray(0, at))
    open = EMPTY
    at = 0
  }

  return {
    name,
    create: `CREATE TEMP TABLE ${name} (${definitions})`,
    append(line) {
      const most = line.length * MOST_BYTES
      if (at + most > open.length) {
        close()
        open = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, most))
      }
      at += open.write(line, at)
    },
    take() {
      close()
      const taken = chunks
      chunks = []
      return taken.length === 0 ? [] : [{ statement, chunks: taken }]
    },
  }
}

const EMPTY = Buffer.alloc(0)

function entityStage(projection: Projection) {
  const target = stage(`staged_${projection.table}`, [
    ...fieldColumns(projection),
    ...LINEAGE,
    { name: 'deleted', type: 'boolean', nullable: false },
    ...STAGED_AMENDMENT,
  ])
  return {
    target,
    append(row: EntityRow, op: Op, lineage: string, earlier: readonly EntityRow[]) {
      const values = projection.project(row.value)
      let line = ''
      for (const value of values) line += `${cell(value)}\t`
      const amended = row.op === 'upsert' && op !== 'u' ? UNTOLD : amendmentText(projection, row, values, earlier)
      target.append(`${line}${lineage}\t${row.op === 'delete' ? 't' : 'f'}\t${op}\t${amended}\n`)
    },
  }
}

/** Neither before nor after. */
const UNTOLD = '\\N\t\\N'

function amendmentText(...of: Parameters<typeof amendment>): string {
  const { before, after } = amendment(...of)
  return before === null ? UNTOLD : `${cell(before)}\t${cell(after)}`
}

/** What COPY's text format does not take as it is. https://www.postgresql.org/docs/18/sql-copy.html */
const SPECIAL = /[\\\t\n\r]/
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

function cell(value: Field): string {
  if (value === null) return '\\N'
  if (typeof value !== 'string') return String(value)
  return SPECIAL.test(value) ? value.replaceAll(/[\\\t\n\r]/g, (found) => ESCAPES[found]!) : value
}

/** The changes of a transaction have their time in common. */
function lineageText(): (change: RowChange) => string {
  let micros = Number.NaN
  let committed = ''
  return (change) => {
    if (change.committedAt !== micros) {
      micros = change.committedAt
      committed = `${microsIso(micros)}Z`
    }
    return `${change.position}\t${change.lsn}\t${committed}\t${change.txId}\t${change.partition}\t${change.offset}`
  }
}

/** Without a code: a source row was deleted whose state before could not be mapped. */
const UNMAPPED: readonly Column[] = [
  { name: 'source_table', type: 'text', nullable: false },
  { name: 'source_key', type: 'text', nullable: false },
  { name: 'id', type: 'uuid', nullable: false },
  { name: 'reference', type: 'text', nullable: true },
  { name: 'code', type: 'text', nullable: true },
  { name: 'remedy', type: 'text', nullable: true },
  { name: 'position', type: POSITION_TYPE, nullable: false },
  { name: 'partition', type: 'integer', nullable: false },
]

/** A key that is a UUID is its unified row's id too; of all others the id is made. */
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/

function unmappedText(change: RowChange, { refusal }: IncidentChange): string {
  const table = tableName(change.table)
  const key = keyText(change.table, image(change))
  return [
    table,
    key,
    UUID.test(key) ? key : rowId(table, key),
    change.reference,
    refusal?.code ?? null,
    refusal?.remedy ?? null,
    change.position,
    change.partition,
  ]
    .map(cell)
    .join('\t')
}
