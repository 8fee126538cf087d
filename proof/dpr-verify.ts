/**
 * Whether DPR's jobs would take a raw zone, file by file (docs/rules.md). It knows the jobs' rules and nothing of who wrote
 * the files: it reads the folder as they would, contracts first, and replays schema check, violations, order and merges
 * in SQL.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { PipelineError } from '../core/error.ts'
import { onDuckDb } from '../sinks/duckdb.ts'
import { readContractText, type ReadContract } from './dpr-verify-contract.ts'
import { judgeRows, type OrderedFile, type RowRule } from './dpr-verify-rows.ts'
import { readFileSchema, schemaFaults } from './dpr-verify-schema.ts'

/** What becomes of what a finding is about. */
export type Outcome =
  /** to the violations */
  | 'rejected'
  /** no job ever reads it, or it changes nothing */
  | 'ignored'
  /** an older state replaces a newer one */
  | 'overwrites'
  /** counted or held twice */
  | 'doubled'

export type Rule =
  RowRule | 'contract' | 'no-contract' | 'schema' | 'unreadable' | 'name' | 'folder' | 'empty' | 'arrival'

export interface Finding {
  readonly rule: Rule
  readonly outcome: Outcome
  /** Below the table's folder; null when it is about the contract. */
  readonly file: string | null
  /** Null when they cannot be counted. */
  readonly rows: number | null
  readonly says: string
}

export interface TableVerdict {
  /** `source/table` */
  readonly table: string
  readonly files: number
  readonly accepted: number
  readonly superseded: number
  readonly rejected: number
  readonly curated: number
  readonly operational: number
  readonly staleAtOnce: number
  readonly findings: readonly Finding[]
}

const OUTCOMES: Readonly<Record<Rule, readonly [Outcome, string]>> = {
  contract: ['rejected', 'the contract is not what the jobs read'],
  'no-contract': ['rejected', 'no contract is there for the table'],
  schema: ['rejected', 'the columns are not those of the contract'],
  unreadable: ['rejected', 'it is no parquet file'],
  name: ['ignored', 'no job looks for a file of this name'],
  folder: ['rejected', 'Spark takes a folder for a partition column'],
  empty: ['ignored', 'it has no row'],
  arrival: ['overwrites', 'it was written before files that its name puts it behind'],
  'null-key': ['rejected', 'the primary key is null'],
  'null-op': ['rejected', 'Op is null'],
  'null-timestamp': ['rejected', '_timestamp is null'],
  'null-required': ['rejected', 'a column that the contract requires is null'],
  time: ['rejected', 'a time is not HH:mm:ss'],
  op: ['ignored', 'Op is none of I, U, D'],
  'load-op': ['ignored', 'a load file holds a row that is no I'],
  timestamp: ['overwrites', '_timestamp does not sort as text'],
  checkpoint: ['overwrites', "checkpoint_col is not empty on a load row, or not 35 digits on a change's"],
  'load-twice': ['doubled', 'a key is loaded twice'],
  'change-twice': ['doubled', 'a change of a row is there twice'],
  'older-later': ['overwrites', 'a later file holds an older state of the row'],
  'live-insert': ['ignored', 'an I of a row that is there: the operational store ignores it'],
  'clock-back': ['overwrites', "checkpoint_col's time falls, so that a reload's rows sort wrongly among the changes"],
}

const DOES_NOT_FIT: ReadonlySet<Rule> = new Set<Rule>(['contract', 'no-contract', 'schema'])

/** Whether something does not fit its contract, which is another fault than rows that go wrong. */
export function breaksContract({ findings }: TableVerdict): boolean {
  return findings.some((finding) => DOES_NOT_FIT.has(finding.rule))
}

/** Judges every table of `directory/raw` by the contracts in `directory/contracts`. CONFIG when there is no raw zone. */
export async function verifyDpr(directory: string): Promise<readonly TableVerdict[]> {
  const raw = join(directory, 'raw')
  const sources = await foldersIn(raw)
  if (sources === null) {
    throw new PipelineError('CONFIG', `${directory} holds no folder raw`, "Name the folder of DPR's raw zone.")
  }
  return onDuckDb(':memory:', { threads: '2' }, async (connection) => {
    await connection.run(`SET TimeZone = 'UTC'`)
    const verdicts: TableVerdict[] = []
    for (const source of sources) {
      for (const table of (await foldersIn(join(raw, source))) ?? []) {
        verdicts.push(await verifyTable(connection, directory, source, table))
      }
    }
    return verdicts
  })
}

async function verifyTable(
  connection: DuckDBConnection,
  directory: string,
  source: string,
  table: string,
): Promise<TableVerdict> {
  const folder = join(directory, 'raw', source, table)
  const contract = await readContract(directory, source, table)
  const findings: Finding[] = (contract?.faults ?? []).map((says) => finding('contract', null, null, says))
  const { files, strays } = await readFolder(folder)
  findings.push(...strays)
  const good: OrderedFile[] = []
  let rejected = 0
  for (const file of files) {
    const name = file.path.slice(folder.length + 1)
    const schema = await readFileSchema(connection, file.path)
    if (schema === null) findings.push(finding('unreadable', name, null))
    else if (schema.rows === 0) findings.push(finding('empty', name, 0))
    else if (contract === null || contract.faults.length > 0) {
      rejected += schema.rows
      if (contract === null) findings.push(finding('no-contract', name, schema.rows))
    } else {
      const faults = schemaFaults(schema, contract.columns)
      if (faults.length === 0) good.push(file)
      else {
        rejected += schema.rows
        findings.push(finding('schema', name, schema.rows, faults.join('; ')))
      }
    }
  }
  const nothing = { accepted: 0, superseded: 0, curated: 0, operational: 0, staleAtOnce: 0 }
  const head = { table: `${source}/${table}`, files: files.length }
  if (good.length === 0) return { ...head, ...nothing, rejected, findings }
  const { counts, findings: ofRows } = await judgeRows(connection, good, contract!.columns)
  for (const { rule, file, rows } of ofRows) {
    if (OUTCOMES[rule][0] === 'rejected') rejected += rows
    findings.push(finding(rule, file.slice(folder.length + 1), rows))
  }
  return { ...head, ...counts, rejected, findings }
}

function finding(rule: Rule, file: string | null, rows: number | null, says?: string): Finding {
  const [outcome, sentence] = OUTCOMES[rule]
  return { rule, outcome, file, rows, says: says === undefined ? sentence : `${sentence}: ${says}` }
}

async function readContract(directory: string, source: string, table: string): Promise<ReadContract | null> {
  const file = join(directory, 'contracts', source, `${table}.avsc`)
  const text = await readFile(file, 'utf8').catch(() => null)
  return text === null ? null : readContractText(text, source, table)
}

/**
 * The files in the order in which the jobs take them: load files, then changes as they arrived
 * (rules dpr.names, dpr.order).
 */
async function readFolder(folder: string): Promise<{ files: OrderedFile[]; strays: Finding[] }> {
  const strays: Finding[] = []
  const found: { readonly name: string; readonly load: boolean; readonly arrived: number }[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const { name } = entry
    if (/^[_.]/.test(name)) continue // Spark does not see them
    if (entry.isDirectory()) strays.push(finding('folder', name, null))
    else if (/^LOAD[0-9A-F]{8}\.parquet$/.test(name)) found.push({ name, load: true, arrived: 0 })
    else if (/^\d{8}-\d{9}\.parquet$/.test(name)) {
      found.push({ name, load: false, arrived: (await stat(join(folder, name))).mtimeMs })
    } else strays.push(finding('name', name, null))
  }
  found.sort((a, b) => Number(b.load) - Number(a.load) || (a.name < b.name ? -1 : 1))
  let latest = 0
  for (const { name, load, arrived } of found) {
    if (load) continue
    if (arrived < latest) strays.push(finding('arrival', name, null))
    latest = Math.max(latest, arrived)
  }
  return { files: found.map(({ name, load }) => ({ path: join(folder, name), load })), strays }
}

/** Null when the folder does not exist. */
async function foldersIn(path: string): Promise<string[] | null> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => null)
  return entries === null
    ? null
    : entries
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => name)
        .sort()
}
