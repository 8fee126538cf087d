/**
 * What DPR's jobs make of a folder's rows: violations, order and duplicates, the merges
 * (rules dpr.order, dpr.violations, dpr.merges).
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { ContractColumn } from './dpr-verify-contract.ts'
import { name, text } from './dpr-verify-schema.ts'

export interface RowFinding {
  readonly rule: RowRule
  readonly file: string
  readonly rows: number
}

/** In the order in which the first that applies wins. */
const VIOLATIONS = ['null-key', 'null-op', 'null-timestamp', 'null-required', 'time'] as const
const MARKS = ['op', 'load-op', 'timestamp', 'checkpoint'] as const

export type RowRule =
  | (typeof VIOLATIONS)[number]
  | (typeof MARKS)[number]
  | 'load-twice'
  | 'change-twice'
  | 'older-later'
  | 'live-insert'
  | 'clock-back'

export interface RowCounts {
  /** Rows that the jobs take. */
  readonly accepted: number
  /** Of these, how many a newer state of their row replaces. */
  readonly superseded: number
  /** What the structured and curated zones, and the operational store, come to hold. */
  readonly curated: number
  readonly operational: number
  /** Rows that the operational store holds in an older state, should the job take all files at once. */
  readonly staleAtOnce: number
}

export interface OrderedFile {
  readonly path: string
  readonly load: boolean
}

/**
 * Judges the rows of files that have the contract's columns, in the order in which the jobs take them. Each file counts
 * as a micro-batch of its own, and all of them as one: the outcome must be the same.
 */
export async function judgeRows(
  connection: DuckDBConnection,
  files: readonly OrderedFile[],
  contract: readonly ContractColumn[],
): Promise<{ counts: RowCounts; findings: RowFinding[] }> {
  const run = async (sql: string): Promise<void> => void (await connection.run(sql))
  const present = await columnsOf(connection, files)
  const paths = files.map(({ path }) => text(path)).join(', ')
  const order = files.map(({ path, load }, i) => `(${text(path)}, ${i}, ${load})`).join(', ')
  const checkpoint = present.has('checkpoint_col') ? 'checkpoint_col' : 'NULL::VARCHAR'
  const keys = contract.filter((column) => column.key).map((column) => `${name(column.name)}::VARCHAR`)
  await run(`CREATE OR REPLACE TEMP TABLE judged AS
    SELECT f.ord, f.load, f.path, file_row_number AS nth, concat_ws(chr(31), ${keys.join(', ')}) AS key,
      "Op" AS op, _timestamp AS ts, ${checkpoint} AS checkpoint, ${violation(contract, present, checkpoint)} AS violation
    FROM read_parquet([${paths}], union_by_name = true, filename = true, file_row_number = true) AS r
    JOIN (VALUES ${order}) AS f(path, ord, load) ON f.path = r.filename`)
  await run(`CREATE OR REPLACE TEMP TABLE taken AS SELECT * FROM judged
    WHERE violation IS NULL OR violation IN ('timestamp', 'checkpoint')`)
  // the winners of each micro-batch: the files one by one
  await run(`CREATE OR REPLACE TEMP TABLE merged AS
    SELECT *, lag(op) OVER w AS before_op, lag(checkpoint) OVER w AS before_checkpoint,
      row_number() OVER (PARTITION BY key ORDER BY ord DESC) AS age
    FROM (SELECT *, row_number() OVER (PARTITION BY key, ord ORDER BY checkpoint DESC NULLS LAST, ts DESC NULLS LAST) AS n
      FROM taken) WHERE n = 1
    WINDOW w AS (PARTITION BY key ORDER BY ord)`)
  const found = async (rule: RowRule, sql: string): Promise<RowFinding[]> => {
    const rows = await connection.runAndReadAll(
      `SELECT path, count(*)::INTEGER FROM (${sql}) GROUP BY path ORDER BY path`,
    )
    return (rows.getRows() as [string, number][]).map(([file, count]) => ({ rule, file, rows: count }))
  }
  const findings = [
    ...(await byRule(connection)),
    ...(await found(
      'load-twice',
      `SELECT path FROM taken WHERE load QUALIFY row_number() OVER (PARTITION BY key ORDER BY ord, nth) > 1`,
    )),
    ...(await found(
      'change-twice',
      `SELECT path FROM taken WHERE NOT load
       QUALIFY row_number() OVER (PARTITION BY key, checkpoint ORDER BY ord, nth) > 1`,
    )),
    ...(await found('older-later', `SELECT path FROM merged WHERE NOT load AND checkpoint < before_checkpoint`)),
    ...(await found(
      'live-insert',
      `SELECT path FROM merged WHERE NOT load AND op = 'I' AND before_op <> 'D'
      AND checkpoint IS DISTINCT FROM before_checkpoint AND NOT EXISTS (
        SELECT 1 FROM taken AS t WHERE t.key = merged.key AND t.ord = merged.ord AND t.op = 'D')`,
    )),
    ...(await found(
      'clock-back',
      `SELECT path FROM (SELECT path, ord, nth, checkpoint[1:16] AS clock,
         max(checkpoint[1:16]) OVER (ORDER BY ord, nth ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS highest
         FROM taken WHERE NOT load) WHERE clock < highest`,
    )),
  ]
  return { counts: await countsOf(connection), findings }
}

function violation(contract: readonly ContractColumn[], present: ReadonlySet<string>, checkpoint: string): string {
  const isNull = (column: ContractColumn): string =>
    present.has(column.name) ? `${name(column.name)} IS NULL` : 'true'
  const any = (columns: readonly ContractColumn[], test: (column: ContractColumn) => string): string =>
    columns.length === 0 ? 'false' : columns.map(test).join(' OR ')
  const times = contract.filter((column) => column.time && present.has(column.name))
  return `CASE
    WHEN ${any(
      contract.filter((column) => column.key),
      isNull,
    )} THEN 'null-key'
    WHEN "Op" IS NULL THEN 'null-op'
    WHEN _timestamp IS NULL THEN 'null-timestamp'
    WHEN "Op" <> 'D' AND (${any(
      contract.filter((column) => !column.nullable),
      isNull,
    )}) THEN 'null-required'
    WHEN ${any(times, (column) => `NOT regexp_full_match(${name(column.name)}, '([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d')`)} THEN 'time'
    WHEN f.load AND "Op" <> 'I' THEN 'load-op'
    WHEN "Op" NOT IN ('I', 'U', 'D') THEN 'op'
    WHEN NOT regexp_full_match(_timestamp, '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{6}') THEN 'timestamp'
    WHEN f.load AND ${checkpoint} IS DISTINCT FROM '' THEN 'checkpoint'
    WHEN NOT f.load AND NOT coalesce(regexp_full_match(${checkpoint}, '\\d{35}'), false) THEN 'checkpoint'
    END`
}

async function columnsOf(connection: DuckDBConnection, files: readonly OrderedFile[]): Promise<ReadonlySet<string>> {
  const paths = files.map(({ path }) => text(path)).join(', ')
  const rows = await connection.runAndReadAll(
    `SELECT column_name FROM (DESCRIBE SELECT * FROM read_parquet([${paths}], union_by_name = true))`,
  )
  return new Set(rows.getRows().map(([column]) => String(column)))
}

async function byRule(connection: DuckDBConnection): Promise<RowFinding[]> {
  const rows = await connection.runAndReadAll(
    `SELECT violation, path, count(*)::INTEGER FROM judged WHERE violation IS NOT NULL GROUP BY ALL ORDER BY ALL`,
  )
  return (rows.getRows() as [RowRule, string, number][]).map(([rule, file, count]) => ({ rule, file, rows: count }))
}

async function countsOf(connection: DuckDBConnection): Promise<RowCounts> {
  const rows = await connection.runAndReadAll(`
    WITH latest AS (SELECT key, op, checkpoint, load FROM taken
        QUALIFY row_number() OVER (PARTITION BY key ORDER BY checkpoint DESC NULLS LAST, ts DESC NULLS LAST) = 1),
      loaded AS (SELECT DISTINCT key FROM taken WHERE load)
    SELECT (SELECT count(*) FROM taken)::INTEGER,
      (SELECT count(*) FROM taken)::INTEGER - (SELECT count(*) FROM latest)::INTEGER,
      (SELECT count(*) FROM merged WHERE age = 1 AND op <> 'D')::INTEGER,
      (SELECT count(*) FROM merged WHERE age = 1 AND op <> 'D')::INTEGER,
      (SELECT count(*) FROM latest WHERE op = 'I' AND NOT load AND key IN (SELECT key FROM loaded))::INTEGER`)
  const [accepted, superseded, curated, operational, staleAtOnce] = rows.getRows()[0] as number[]
  return {
    accepted: accepted!,
    superseded: superseded!,
    curated: curated!,
    operational: operational!,
    staleAtOnce: staleAtOnce!,
  }
}
