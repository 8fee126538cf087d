/** What the stream does not tell of a table: its primary key. And what is published at all. */
import type pg from 'pg'
import type { Table } from '../../core/change.ts'
import type { Relation } from './pgoutput.ts'

export interface Catalog {
  /** The table as captured; the same object for the same shape, from the snapshot and from the stream. */
  table(relation: Pick<Relation, 'schema' | 'name' | 'columns'>): Promise<Table>
  /** The published tables with the columns that are published. */
  published(publication: string): Promise<readonly Table[]>
}

const PRIMARY_KEY = `
  SELECT a.attname AS name
  FROM pg_index i
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
  WHERE i.indrelid = to_regclass(format('%I.%I', $1::text, $2::text)) AND i.indisprimary
  ORDER BY k.place`

const PUBLISHED = `
  SELECT p.schemaname AS schema, p.tablename AS name,
         json_agg(json_build_object('name', a.attname, 'oid', a.atttypid::int8, 'modifier', a.atttypmod) ORDER BY a.attnum)::text AS columns
  FROM pg_publication_tables p
  JOIN pg_attribute a ON a.attrelid = to_regclass(format('%I.%I', p.schemaname, p.tablename))
    AND a.attname = ANY (p.attnames) AND a.attnum > 0 AND NOT a.attisdropped
  WHERE p.pubname = $1
  GROUP BY 1, 2
  ORDER BY 1, 2`

export function catalog(client: pg.Client): Catalog {
  const known = new Map<string, Table>()

  async function table({ schema, name, columns }: Pick<Relation, 'schema' | 'name' | 'columns'>): Promise<Table> {
    const { rows } = await client.query<{ name: string }>(PRIMARY_KEY, [schema, name])
    const key = rows.map((row) => row.name).filter((each) => columns.some((column) => column.name === each))
    const found: Table = { schema, name, columns, key: key.length === rows.length ? key : [] }
    const shape = JSON.stringify(found)
    const same = known.get(shape)
    if (same !== undefined) return same
    known.set(shape, found)
    return found
  }

  return {
    table,
    published: async (publication) => {
      const { rows } = await client.query<{ schema: string; name: string; columns: string }>(PUBLISHED, [publication])
      const tables: Table[] = []
      for (const { schema, name, columns } of rows)
        tables.push(await table({ schema, name, columns: JSON.parse(columns) }))
      return tables
    },
  }
}

/** For messages and statements: the quoted name. */
export function quoted(table: Pick<Table, 'schema' | 'name'>): string {
  return `"${table.schema.replaceAll('"', '""')}"."${table.name.replaceAll('"', '""')}"`
}
