/** The tables that the pipeline reads, as the scripts of schemas/source define them. */
import { readFileSync } from 'node:fs'

export interface SourceTable {
  readonly schema: string
  readonly name: string
  readonly columns: readonly SourceColumn[]
  /** The primary key's columns in key order. */
  readonly key: readonly string[]
}

export interface SourceColumn {
  readonly name: string
  /** As PostgreSQL's `format_type` writes it. */
  readonly type: string
}

/** Every table of both models with its columns, as schemas/source defines them. */
export const SOURCE_TABLES: readonly SourceTable[] = ['dps.sql', 'nomis.sql'].flatMap((file) =>
  readTables(sourceScript(file)),
)

/** What the API's writes and the migrator keep beside them, outside the publication. */
export const MIGRATION_TABLES: readonly SourceTable[] = readTables(sourceScript('migration.sql'))

/** The text of one of the scripts. */
export function sourceScript(file: string): string {
  return readFileSync(new URL(`../../schemas/source/${file}`, import.meta.url), 'utf8')
}

/** Reads the tables out of a script of ours, which holds one column a line. */
function readTables(sql: string): SourceTable[] {
  return [...sql.matchAll(/^CREATE TABLE (\w+)\.(\w+) \(\n(.*?)^\);/gms)].map(
    ([, schema = '', name = '', body = '']) => ({
      schema,
      name,
      columns: [...body.matchAll(/^ {2}([a-z]\w*) (\w+)(\(\d+\))?/gm)].map(
        ([, column = '', type = '', modifier = '']) => ({
          name: column,
          type: canonicalType(type, modifier),
        }),
      ),
      key: body.match(/PRIMARY KEY \(([^)]*)\)/)?.[1]?.split(', ') ?? [],
    }),
  )
}

function canonicalType(type: string, modifier: string): string {
  switch (type) {
    case 'varchar':
      return `character varying${modifier}`
    case 'timestamp':
      return `timestamp${modifier} without time zone`
    case 'timestamptz':
      return 'timestamp with time zone'
    case 'serial':
      return 'integer'
    default:
      return `${type}${modifier}`
  }
}
