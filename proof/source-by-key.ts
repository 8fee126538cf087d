/** Some rows of a source table, by their keys. */
import type pg from 'pg'
import type { Row, RowChange, Table } from '../core/change.ts'
import { quoted } from '../connectors/postgres/catalog.ts'
import { pgType } from '../schemas/pg-types.ts'
import { keyColumns, keyOf, keyValues } from './source-keys.ts'
import { changeOf, identifier, type TableReader } from './source-table.ts'

export interface SourceRow {
  readonly change: RowChange
  /** The row's stamp and its incident: the same as long as nobody wrote the row or moved it to another incident. */
  readonly version: string
  readonly xmin: number
}

/** The rows with these keys. */
export async function readByKey(
  client: pg.Client,
  { table, wide, columns, from }: TableReader,
  wanted: ReadonlySet<string>,
  take: (key: string, row: SourceRow) => void,
): Promise<void> {
  const { condition, values } = byKeys(table, wanted)
  if (values[0]!.length === 0) return
  const { rows } = await client.query({
    text: `SELECT ${columns}, ${STAMP} FROM ${from} WHERE ${condition}`,
    values,
    rowMode: 'array',
  })
  const width = wide.columns.length
  for (const texts of rows as (string | null)[][]) {
    const row: Record<string, Row[string]> = {}
    for (const [i, { name, oid }] of wide.columns.entries()) {
      const text = texts[i] ?? null
      row[name] = text === null ? null : pgType(oid).value(text)
    }
    const version = `${texts[width]} ${texts[width - 1]}`
    take(keyOf(table, row), { change: changeOf(table, row), version, xmin: Number(texts[width]!.split(' ')[0]) })
  }
}

/** Another after each write of the row. */
const STAMP = `t.xmin::text || ' ' || t.ctid::text`

/** What the versions of the rows with these keys begin with. */
export async function readStamps(
  client: pg.Client,
  { table }: TableReader,
  wanted: ReadonlySet<string>,
  take: (key: string, stamp: string) => void,
): Promise<void> {
  const { condition, values } = byKeys(table, wanted)
  if (values[0]!.length === 0) return
  const key = table.key.map((name) => table.columns.find((column) => column.name === name)!)
  const { rows } = await client.query({
    text: `SELECT ${key.map(({ name }) => `t.${identifier(name)}`).join(', ')}, ${STAMP} FROM ${quoted(table)} t WHERE ${condition}`,
    values,
    rowMode: 'array',
  })
  for (const texts of rows as string[][]) {
    const row = Object.fromEntries(key.map(({ name, oid }, i) => [name, pgType(oid).value(texts[i]!)]))
    take(keyOf(table, row), texts[key.length]!)
  }
}

/** What is true of the rows `t` with these keys, and its parameters. */
function byKeys(
  table: Table,
  wanted: ReadonlySet<string>,
): { readonly condition: string; readonly values: string[][] } {
  const values = keyValues(table, wanted)
  const key = keyColumns(table)
  const left = key.map(({ name, isText }) => `t.${identifier(name)}${isText ? '::text' : ''}`).join(', ')
  const right = key.map(({ type }, i) => `v.k${i}::${type}`).join(', ')
  const arrays = values.map((_, i) => `$${i + 1}::text[]`).join(', ')
  const names = values.map((_, i) => `k${i}`).join(', ')
  return { condition: `(${left}) IN (SELECT ${right} FROM unnest(${arrays}) AS v (${names}))`, values }
}
