/**
 * Contracts: what DPR's jobs expect of each table (dpr 2). A contract is published before the first file of its table
 * and then holds: every file of a folder has the same columns.
 */
import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, readdir, rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PipelineError } from '../core/error.ts'
import type { ContractType, DprColumn } from './dpr-raw-columns.ts'

/** One folder of the raw zone. */
export interface DprTable {
  /** The DPR source: the folder above, the contract's `service`. */
  readonly source: string
  readonly table: string
  readonly doc: string
  readonly columns: readonly DprColumn[]
}

/** What every contract says of who answers for it. */
export interface ContractOwner {
  readonly contacts: { readonly author: string; readonly team: string; readonly slack: string }
  readonly database: { readonly type: 'postgres'; readonly version: string; readonly name: string }
}

export interface ContractField {
  readonly name: string
  readonly type: ContractType
  /** A flag of its own, never an Avro union: the jobs make the union. */
  readonly nullable: boolean
  readonly key?: 'primary'
  readonly description?: string
  readonly metadata: { readonly sensitive: boolean; readonly validationType?: 'time' }
}

export interface Contract extends ContractOwner {
  readonly type: 'record'
  readonly name: string
  readonly service: string
  readonly namespace: 'prisons'
  readonly version: string
  readonly description: string
  readonly fields: readonly ContractField[]
}

export function contractOf(table: DprTable, owner: ContractOwner): Contract {
  return {
    type: 'record',
    name: table.table,
    service: table.source,
    namespace: 'prisons',
    version: '1.0.0',
    description: table.doc,
    ...owner,
    fields: table.columns.map(contractField),
  }
}

function contractField(column: DprColumn): ContractField {
  return {
    name: column.name,
    type: column.contract,
    nullable: column.nullable,
    ...(column.key ? { key: 'primary' as const } : {}),
    ...(column.doc === '' ? {} : { description: column.doc }),
    metadata: {
      sensitive: column.sensitive,
      ...(column.validationType === null ? {} : { validationType: column.validationType }),
    },
  }
}

/**
 * Makes the table's contract the published one, or proves that it is: CONTRACT when the published one has other
 * columns, types or keys, or when DPR could not hold the table at all.
 */
export async function publishContract(directory: string, table: DprTable, owner: ContractOwner): Promise<void> {
  checkName(table)
  const contract = contractOf(table, owner)
  const folder = join(directory, 'contracts', table.source)
  const file = join(folder, `${table.table}.avsc`)
  await mkdir(folder, { recursive: true })
  if (!(await writeNew(file, `${JSON.stringify(contract, null, 2)}\n`))) {
    const published = await readContract(directory, table.source, table.table)
    const differences = contractDifferences(published, contract)
    if (differences.length > 0) {
      throw new PipelineError(
        'CONTRACT',
        `${table.source}/${table.table} no longer has the columns of its contract: ${differences.join('; ')}`,
        `Publish a contract with the new columns at ${file}, nullable where they are added, once DPR has taken every file of the table; then start again.`,
      )
    }
  }
  await writeTableConfig(directory, table.source)
}

export async function readContract(directory: string, source: string, table: string): Promise<Contract> {
  return JSON.parse(await readFile(join(directory, 'contracts', source, `${table}.avsc`), 'utf8')) as Contract
}

/** What two contracts' columns differ in; empty when the same files satisfy both. Order and prose do not count. */
export function contractDifferences(published: Contract, now: Contract): string[] {
  const before = new Map(published.fields.map((field) => [field.name, field]))
  const after = new Map(now.fields.map((field) => [field.name, field]))
  const gone = published.fields.filter((field) => !after.has(field.name)).map((field) => `${field.name} is gone`)
  const other = now.fields.flatMap((field) => {
    const was = before.get(field.name)
    if (was === undefined) return [`${field.name} is new`]
    if (was.key !== field.key)
      return [`${field.name} is ${field.key === undefined ? 'no longer' : 'now'} part of the key`]
    if (typeText(was.type) === typeText(field.type)) return []
    return [`${field.name} was ${typeText(was.type)} and is ${typeText(field.type)}`]
  })
  return [...gone, ...other]
}

function typeText(type: ContractType): string {
  if (typeof type === 'string') return type
  return Object.keys(type)
    .sort()
    .map((name) => `${name} ${type[name]}`)
    .join(' ')
}

/** DPR strips the first `_<digits>` of a name and refuses what is not lower case (dpr 1.1, 2). */
function checkName({ source, table }: DprTable): void {
  if (/^[a-z_0-9]*$/.test(`${source}_${table}`) && !/_\d/.test(table)) return
  throw new PipelineError(
    'CONTRACT',
    `The table ${source}/${table} has a name that DPR cannot hold: it takes lower-case letters, digits and underscores, and no digit after an underscore`,
    'Rename the table, or classify none of its columns so that it stays out of the raw zone.',
  )
}

/** The jobs' table list, read with `dpr.read.config.from.s3=true`: every table of the source that has a contract. */
async function writeTableConfig(directory: string, source: string): Promise<void> {
  const contracts = await readdir(join(directory, 'contracts', source))
  const tables = contracts
    .filter((name) => name.endsWith('.avsc') && !name.startsWith('.'))
    .map((name) => `${source}/${name.slice(0, -5)}`)
    .sort()
  const folder = join(directory, 'configs', source)
  await mkdir(folder, { recursive: true })
  const aside = asideName(join(folder, 'table-config.json'))
  await writeFile(aside, `${JSON.stringify({ tables })}\n`)
  await rename(aside, join(folder, 'table-config.json'))
}

/** False when the file is already there; it is never seen half written. */
export async function writeNew(file: string, text: string): Promise<boolean> {
  const aside = asideName(file)
  await writeFile(aside, text, { flush: true })
  try {
    await link(aside, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await unlink(aside)
  }
}

function asideName(file: string): string {
  const slash = file.lastIndexOf('/') + 1
  return `${file.slice(0, slash)}.${file.slice(slash)}.${randomBytes(4).toString('hex')}`
}
