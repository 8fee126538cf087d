/**
 * Runs one analyst's query, in a process of its own that knows nothing else: `node query-child.ts`, the request as JSON on
 * stdin, the answer as JSON on stdout; with `parquet` the file's bytes instead.
 *
 * The copy is opened for reading alone. Outside access is off but for the very parquet files that the copy's views name,
 * extensions are not loaded, nothing is spilled to disk, and the configuration is locked before the statement is seen.
 */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import {
  DuckDBInstance,
  DuckDBTypeId,
  type DuckDBConnection,
  type DuckDBResult,
  type DuckDBType,
} from '@duckdb/node-api'
import { scratchFolder } from '../core/scratch-folder.ts'
import { judge } from './query-guard.ts'

export interface QueryRequest {
  readonly file: string
  readonly sql: string
  readonly maxRows: number
  readonly maxBytes: number
  readonly memoryLimit: string
  readonly format: 'json' | 'parquet'
}

export interface QueryAnswer {
  readonly columns: readonly string[]
  /** As text; null for NULL. */
  readonly rows: readonly (readonly (string | null)[])[]
  /** Whether there was more. */
  readonly cut: boolean
  /** Whether numbers of 5 and fewer were withheld. */
  readonly suppressed: boolean
  /** When the copy was published. */
  readonly publishedAt: string | null
}

/** Counts and sums are of these types. */
const COUNTS: ReadonlySet<DuckDBTypeId> = new Set([
  DuckDBTypeId.BIGINT,
  DuckDBTypeId.UBIGINT,
  DuckDBTypeId.HUGEINT,
  DuckDBTypeId.UHUGEINT,
])
const FEW = 5
const SUPPRESSED = '5 or fewer'

async function main(): Promise<void> {
  const request = JSON.parse(await text(process.stdin)) as QueryRequest
  try {
    const judged = judge(JSON.parse(await parse(request.sql)) as Parameters<typeof judge>[0])
    if (judged.refused !== null) return refuse(judged.refused)
    const connection = await openLocked(request)
    const statements = await connection.extractStatements(request.sql)
    if (statements.count !== 1) return refuse('One statement at a time is run.')
    const prepared = await statements.prepare(0)
    if (prepared.statementType !== 1) return refuse('Only SELECT is run here.')
    const publishedAt = await published(connection)
    const answer = await read(await prepared.stream(), request, judged.counts)
    if (request.format === 'parquet') return process.stdout.write(await parquet(answer), end) as unknown as void
    process.stdout.write(JSON.stringify({ answer: { ...answer, types: undefined, publishedAt } satisfies object }), end)
  } catch (error) {
    refuse(sentence(error))
  }
}

/** Threads of DuckDB would keep the process. */
function end(): void {
  process.exit(0)
}

function refuse(refused: string): void {
  process.stdout.write(JSON.stringify({ refused }), end)
}

/** In an instance that holds nothing. */
async function parse(sql: string): Promise<string> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', memory_limit: '64MB' })
  const connection = await instance.connect()
  const result = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [sql])
  const found = String(result.getRows()[0]![0])
  connection.closeSync()
  instance.closeSync()
  return found
}

async function openLocked({ file, memoryLimit }: QueryRequest): Promise<DuckDBConnection> {
  const instance = await DuckDBInstance.create(file, {
    access_mode: 'READ_ONLY',
    memory_limit: memoryLimit,
    threads: '1',
    max_temp_directory_size: '0GB',
    autoload_known_extensions: 'false',
    autoinstall_known_extensions: 'false',
    allow_community_extensions: 'false',
    allow_unsigned_extensions: 'false',
  })
  const connection = await instance.connect()
  const views = await connection.runAndReadAll(`SELECT sql FROM duckdb_views() WHERE NOT internal`)
  const files = new Set(
    views
      .getRows()
      .flatMap(([sql]) => [...String(sql).matchAll(/'((?:[^']|'')+\.parquet)'/g)].map(([, path]) => path!)),
  )
  await connection.run(`SET TimeZone = 'Europe/London'`).catch(() => {})
  await connection.run(`SET allowed_paths = [${[...files].map((path) => `'${path}'`).join(', ')}]`)
  await connection.run('SET enable_external_access = false')
  await connection.run('SET lock_configuration = true')
  return connection
}

async function published(connection: DuckDBConnection): Promise<string | null> {
  const found = await connection
    .runAndReadAll(`SELECT strftime(published_at AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ') FROM publication`)
    .catch(() => null)
  return found === null ? null : String(found.getRows()[0]?.[0] ?? '') || null
}

type Read = Omit<QueryAnswer, 'publishedAt'> & { readonly types: readonly DuckDBType[] }

/** Stops at the first row, or byte, too many. */
async function read(result: DuckDBResult, { maxRows, maxBytes }: QueryRequest, counts: boolean): Promise<Read> {
  const types = result.columnTypes()
  const few = types.map(({ typeId }) => counts && (COUNTS.has(typeId) || typeId === DuckDBTypeId.DECIMAL))
  const rows: (string | null)[][] = []
  let [bytes, suppressed] = [0, false]
  const all = (cut: boolean): Read => ({ columns: result.deduplicatedColumnNames(), types, rows, cut, suppressed })
  for (;;) {
    const chunk = await result.fetchChunk()
    if (chunk === null || chunk.rowCount === 0) return all(false)
    for (const values of chunk.getRows()) {
      if (rows.length >= maxRows || bytes > maxBytes) return all(true)
      const row = values.map((value, i) => {
        if (value === null) return null
        const shown = String(value)
        if (!few[i] || !(Number(shown) <= FEW)) return shown
        suppressed = true
        return SUPPRESSED
      })
      for (const value of row) bytes += (value?.length ?? 0) + 4
      rows.push(row)
    }
  }
}

/** Of what was read, suppressed as it is, by an instance that has nothing else. */
async function parquet({ columns, types, rows, suppressed }: Read): Promise<Buffer> {
  const directory = scratchFolder('query')
  try {
    const instance = await DuckDBInstance.create(':memory:', { threads: '1', memory_limit: '256MB' })
    const connection = await instance.connect()
    const quoted = columns.map((name) => `"${name.replaceAll('"', '""')}"`)
    await connection.run(`CREATE TABLE result (${quoted.map((name) => `${name} VARCHAR`).join(', ')})`)
    const appender = await connection.createAppender('result')
    for (const row of rows) {
      for (const value of row) {
        if (value === null) appender.appendNull()
        else appender.appendVarchar(value)
      }
      appender.endRow()
    }
    appender.closeSync()
    const path = join(directory, 'result.parquet')
    // a suppressed number becomes NULL, so that its column stays one of numbers
    const typed = quoted.map((name, i) =>
      /[[({]|ENUM|UNION|MAP|STRUCT/.test(String(types[i])) && types[i]!.typeId !== DuckDBTypeId.DECIMAL
        ? name
        : `CAST(${suppressed ? `nullif(${name}, '${SUPPRESSED}')` : name} AS ${String(types[i])}) AS ${name}`,
    )
    await connection.run(
      `COPY (SELECT ${typed.join(', ')} FROM result) TO '${path}' (FORMAT parquet, COMPRESSION zstd)`,
    )
    return readFileSync(path)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** DuckDB's first line, without what it quotes of files. */
function sentence(error: unknown): string {
  const [first = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
  return /permission|external access|disabled by configuration/i.test(first)
    ? 'No file or setting outside the published copy can be reached.'
    : first.slice(0, 300)
}

if (import.meta.main) await main()
