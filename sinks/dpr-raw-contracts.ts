/**
 * Contracts: what DPR's jobs expect of each table (rule dpr.contracts). A contract is published before the first file
 * that needs it, and its next version satisfies the files before it as well, wherever that is possible.
 */
import { PipelineError } from '../core/error.ts'
import { DATA_PRODUCT_FILE, dataProduct, UNIFIED_SOURCE } from './data-product.ts'
import type { ContractType, DprColumn } from './dpr-raw-columns.ts'
import type { Storage } from './dpr-raw-storage.ts'
import type { DprTable } from './dpr-raw-table.ts'

export type { DprTable } from './dpr-raw-table.ts'

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
 * Makes the table's contract the published one. Where the published one has other columns, the next version takes its
 * place and is kept beside it (`contracts/<source>/<table>/<version>.avsc`): a new column is nullable, one that is gone
 * stays and becomes nullable, so that the files before and after both satisfy it; only another type or key makes a new
 * major version, and that one the files before do not satisfy. Resolves with what differed; CONTRACT when DPR could not
 * hold the table at all.
 */
export async function publishContract(
  storage: Storage,
  table: DprTable,
  owner: ContractOwner,
): Promise<readonly string[]> {
  checkName(table)
  const { source, table: name } = table
  const now = contractOf(table, owner)
  const published = await readContract(storage, source, name)
  const differences = published === null ? [] : contractDifferences(published, now)
  if (published === null || differences.length > 0) {
    const contract = published === null ? now : successor(published, now)
    const text = `${JSON.stringify(contract, null, 2)}\n`
    await storage.replaceText(`contracts/${source}/${name}/${contract.version}.avsc`, text)
    await storage.replaceText(contractPath(source, name), text)
  }
  await writeTableConfig(storage, source)
  return differences
}

/** Null when the table has none. */
export async function readContract(storage: Storage, source: string, table: string): Promise<Contract | null> {
  const text = await storage.readText(contractPath(source, table))
  return text === null ? null : (JSON.parse(text) as Contract)
}

function contractPath(source: string, table: string): string {
  return `contracts/${source}/${table}.avsc`
}

/** The version after the published one. What somebody wrote into a field that has not changed stays. */
function successor(published: Contract, now: Contract): Contract {
  const before = new Map(published.fields.map((field) => [field.name, field]))
  const names = new Set(now.fields.map((field) => field.name))
  const fields = now.fields.map((field): ContractField => {
    const was = before.get(field.name)
    if (was === undefined) return { ...field, nullable: field.key === undefined }
    return sameField(was, field) ? was : { ...field, nullable: was.nullable || field.nullable }
  })
  const gone = published.fields
    .filter((field) => !names.has(field.name))
    .map(({ name, type, description, metadata }): ContractField => {
      const prose = description === undefined ? {} : { description }
      return { name, type, nullable: true, ...prose, metadata }
    })
  const widened = fields.every((field) => {
    const was = before.get(field.name)
    return was === undefined ? field.key === undefined : sameField(was, field)
  })
  const lostKey = published.fields.some((field) => field.key !== undefined && !names.has(field.name))
  return { ...published, version: nextVersion(published.version, widened && !lostKey), fields: [...fields, ...gone] }
}

function nextVersion(version: string, minor: boolean): string {
  const [first = 1, second = 0] = version.split('.').map((part) => Number.parseInt(part, 10) || 0)
  return minor ? `${first}.${second + 1}.0` : `${first + 1}.0.0`
}

function sameField(was: ContractField, now: ContractField): boolean {
  return was.key === now.key && typeText(was.type) === typeText(now.type)
}

/**
 * What two contracts' columns differ in. Order and prose do not count, nor a column that is gone and may be null: files
 * without it satisfy the published contract.
 */
function contractDifferences(published: Contract, now: Contract): string[] {
  const before = new Map(published.fields.map((field) => [field.name, field]))
  const after = new Map(now.fields.map((field) => [field.name, field]))
  const gone = published.fields
    .filter((field) => !after.has(field.name) && (!field.nullable || field.key !== undefined))
    .map((field) => `${field.name} is gone`)
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

/** DPR strips the first `_<digits>` of a name and refuses what is not lower case (rules dpr.names, dpr.contracts). */
function checkName({ source, table }: DprTable): void {
  if (/^[a-z_0-9]*$/.test(`${source}_${table}`) && !/_\d/.test(table)) return
  throw new PipelineError(
    'CONTRACT',
    `The table ${source}/${table} has a name that DPR cannot hold: it takes lower-case letters, digits and underscores, and no digit after an underscore`,
    'Rename the table, or classify none of its columns so that it stays out of the raw zone.',
  )
}

/** What the report service reads, and the jobs' table list, read with `dpr.read.config.from.s3=true`: every table of the source that has a contract. */
async function writeTableConfig(storage: Storage, source: string): Promise<void> {
  const contracts = await storage.list(`contracts/${source}`)
  const tables = contracts
    .filter((name) => name.endsWith('.avsc') && !name.startsWith('.') && !name.includes('/'))
    .map((name) => `${source}/${name.slice(0, -5)}`)
  await publishText(storage, `configs/${source}/table-config.json`, `${JSON.stringify({ tables })}\n`)
  if (source !== UNIFIED_SOURCE) return
  await publishText(storage, `definitions/${DATA_PRODUCT_FILE}`, `${JSON.stringify(dataProduct(), null, 2)}\n`)
}

async function publishText(storage: Storage, path: string, text: string): Promise<void> {
  if ((await storage.readText(path)) !== text) await storage.replaceText(path, text)
}
