/** What the stream does not tell of a table: its primary key. And what is published at all. */
import type pg from 'pg'
import type { Table } from '../../core/change.ts'
import type { Relation } from './pgoutput.ts'
import type { CatalogShape } from './schema-change.ts'

export interface Catalog {
  /** The table as captured; the same object for the same shape, from the snapshot and from the stream. */
  table(relation: Pick<Relation, 'schema' | 'name' | 'columns'>): Promise<Table>
  /** The published tables with the columns that are published. */
  published(publication: string): Promise<readonly Table[]>
  /** What the catalog says of a table now; null when there is none of that name. */
  shape(table: Table): Promise<CatalogShape | null>
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

const SHAPE = `
  SELECT c.oid::int8 AS oid, c.relnatts AS last, coalesce(pg_relation_filenode(c.oid), 0)::int8 AS file, c.relreplident AS identity,
         coalesce(json_object_agg(a.attname, a.attnum) FILTER (WHERE a.attname IS NOT NULL), '{}')::text AS numbers,
         coalesce(json_agg(a.attname) FILTER (WHERE a.atthasdef OR a.atthasmissing OR a.attidentity <> '' OR a.attgenerated <> ''), '[]')::text AS filled
  FROM pg_class c
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE c.oid = to_regclass(format('%I.%I', $1::text, $2::text))
  GROUP BY c.oid`

interface ShapeRow {
  readonly oid: string
  readonly last: string
  readonly file: string
  readonly identity: string
  readonly numbers: string
  readonly filled: string
}

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
    shape: async (of) => {
      const { rows } = await client.query<ShapeRow>(SHAPE, [of.schema, of.name])
      const [row] = rows
      if (row === undefined) return null
      return {
        table: of,
        oid: Number(row.oid),
        lastColumn: Number(row.last),
        fileNode: Number(row.file),
        identity: row.identity,
        numbers: JSON.parse(row.numbers) as Record<string, number>,
        filled: new Set(JSON.parse(row.filled) as string[]),
      }
    },
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
