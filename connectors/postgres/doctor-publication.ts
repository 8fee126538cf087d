/** What of the captured tables the publication leaves out. */
import type pg from 'pg'
import type { Finding } from '../../core/finding.ts'
import { quoted } from './catalog.ts'
import { CAPTURED_TABLES } from './routes.ts'

interface Found {
  readonly schema: string
  readonly name: string
  readonly published: boolean
  readonly filtered: boolean
  /** Columns that are not published. */
  readonly missing: readonly string[]
}

const TABLES = `
  SELECT n.nspname AS schema, c.relname AS name, p.tablename IS NOT NULL AS published,
         p.rowfilter IS NOT NULL AS filtered,
         to_json(ARRAY(SELECT a.attname FROM pg_attribute a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
             AND p.tablename IS NOT NULL AND NOT a.attname = ANY (p.attnames) ORDER BY a.attnum)) AS missing
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_publication_tables p ON p.pubname = $1 AND p.schemaname = n.nspname AND p.tablename = c.relname
  WHERE c.relkind IN ('r', 'p') AND n.nspname || '.' || c.relname = ANY ($2::text[])
    AND EXISTS (SELECT FROM pg_publication WHERE pubname = $1)
  ORDER BY 1, 2`

export async function examinePublication(client: pg.Client, publication: string): Promise<readonly Finding[]> {
  const { rows } = await client.query<Record<keyof Found, string>>(TABLES, [publication, [...CAPTURED_TABLES]])
  const tables = rows.map((row) => ({
    schema: row.schema,
    name: row.name,
    published: row.published === 't',
    filtered: row.filtered === 't',
    missing: JSON.parse(row.missing) as string[],
  }))
  const absent = tables.filter((table) => !table.published)
  return [
    ...(absent.length === 0 || absent.length === tables.length ? [] : [leftOut(publication, absent)]),
    ...tables.filter((table) => table.filtered || table.missing.length > 0).map((table) => partial(publication, table)),
  ]
}

function leftOut(publication: string, tables: readonly Found[]): Finding {
  const names = tables.map((table) => `${table.schema}.${table.name}`).join(', ')
  return {
    check: 'publication-tables',
    severity: 'error',
    found: `publication ${publication} leaves out ${names}: their changes do not reach anybody`,
    mend: `ALTER PUBLICATION "${publication}" ADD TABLE ${tables.map(quoted).join(', ')};`,
  }
}

/** Taken out and put in again whole: there is no other way to change one table of a publication. */
function partial(publication: string, table: Found): Finding {
  const { schema, name, filtered, missing } = table
  const what = filtered ? 'filters the rows' : `leaves out column ${missing.join(', ')}`
  return {
    check: filtered ? 'publication-rows' : 'publication-columns',
    severity: 'error',
    found: `publication ${publication} ${what} of ${schema}.${name}: every row and column is needed`,
    mend: `BEGIN; ALTER PUBLICATION "${publication}" DROP TABLE ${quoted(table)}; ALTER PUBLICATION "${publication}" ADD TABLE ${quoted(table)}; COMMIT; -- then: incidents snapshot ${schema}.${name}`,
  }
}
