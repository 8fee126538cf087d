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
  /** Copies what has been added, within the connection's open transaction. */
  flush(): Promise<void>
  /** Whether rows wait for `flush`. */
  readonly waiting: boolean
  /** Takes the rows of these partitions out of the temporary tables. */
  forget(partitions: readonly number[]): Promise<void>
  /** The transaction is over, and with it what was staged. */
  clear(): void
}

export async function staging(client: pg.Client, projections: Projections): Promise<Staging> {
  const tables = new Map(ENTITIES.map((entity) => [entity, entityStage(projections[entity])]))
  const unmapped = stage('staged_unmapped', UNMAPPED)
  const stages = [...[...tables.values()].map(({ target }) => target), unmapped]
  await client.query(stages.map((each) => each.create).join(';'))
  const entities = new Set<Entity>()
  const deleting = new Set<Entity>()
  const reading = new Set<Entity>()
  let anyUnmapped = false
  let lineage = lineageText()

  return {
    add(item) {
      const { change, rows, refusal, absence } = item
      if (change.op === 'm') return
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
    entities,
    deleting,
    reading,
    get unmapped() {
      return anyUnmapped
    },
    get waiting() {
      return stages.some((each) => each.waiting)
    },
    async flush() {
      for (const each of stages) if (each.waiting) await each.copy(client)
    },
    async forget(partitions) {
      const list = partitions.join(', ')
      await client.query(stages.map(({ name }) => `DELETE FROM ${name} WHERE "partition" IN (${list})`).join(';'))
    },
    clear() {
      entities.clear()
      deleting.clear()
      reading.clear()
      anyUnmapped = false
      for (const each of stages) each.drop()
      lineage = lineageText()
    },
  }
}

interface Stage {
  readonly name: string
  readonly create: string
  readonly waiting: boolean
  append(line: string): void
  copy(client: pg.Client): Promise<void>
  drop(): void
}

const CHUNK_CHARACTERS = 1 << 17

function stage(name: string, columns: readonly Column[]): Stage {
  const definitions = columns.map(({ name: column, type }) => `"${column}" ${type}`).join(', ')
  const statement = `COPY ${name} (${names(columns)}) FROM STDIN`
  let chunks: Buffer[] = []
  let text = ''

  return {
    name,
    create: `CREATE TEMP TABLE ${name} (${definitions}) ON COMMIT DELETE ROWS`,
    get waiting() {
      return text.length > 0 || chunks.length > 0
    },
    append(line) {
      text += line
      if (text.length < CHUNK_CHARACTERS) return
      chunks.push(Buffer.from(text))
      text = ''
    },
    async copy(client) {
      const sent = text === '' ? chunks : [...chunks, Buffer.from(text)]
      chunks = []
      text = ''
      await pipeline(Readable.from(sent, { objectMode: true }), client.query(copyFrom(statement)))
    },
    drop() {
      chunks = []
      text = ''
    },
  }
}

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
