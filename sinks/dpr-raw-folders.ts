/** The folders of the raw zone that a flush writes to, each with its contract published and its staging table open. */
import type { Table } from '../core/change.ts'
import type { Entity, IncidentChange } from '../core/incident.ts'
import { BEGINNING } from '../core/position.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import { folderClock, type Clock } from './dpr-raw-clock.ts'
import { publishContract, type ContractOwner } from './dpr-raw-contracts.ts'
import type { Staged } from './dpr-raw-settle.ts'
import type { Staging } from './dpr-raw-staging.ts'
import type { TableState } from './dpr-raw-state.ts'
import type { Storage } from './dpr-raw-storage.ts'
import { folderName, type DprTable } from './dpr-raw-table.ts'
import { entityTable, sourceTable, type ColumnKind } from './dpr-raw-tables.ts'

export interface Folder {
  readonly staged: Staged
  readonly clock: Clock
}

export interface FoldersOptions {
  readonly storage: Storage
  readonly projections: Projections
  readonly columnKind: ColumnKind
  readonly owner: ContractOwner
  readonly staging: Staging
  readonly warn: (sentence: string) => void
  /** What is published of a folder, by `source/table`. */
  readonly state: (name: string) => TableState | undefined
}

export interface Folders {
  /** Whether every folder that the item needs is open. */
  isOpen(item: IncidentChange): boolean
  /** Opens them, each with a contract that its rows satisfy. CONTRACT as `publishContract`. */
  open(item: IncidentChange): Promise<void>
  /** Null when the table has no folder. */
  ofSource(table: Table): Folder | null
  ofEntity(entity: Entity): Folder
  readonly clocks: ReadonlyMap<string, Clock>
  /** After a flush: its staging tables are gone. */
  close(): void
}

export function folders(options: FoldersOptions): Folders {
  const { storage, owner, staging } = options
  /** Two Table objects can be one table at two times: each is proved against the contract. */
  const proved = new WeakMap<Table, DprTable | null>()
  const entities = new Map<Entity, DprTable>()
  const clocks = new Map<string, Clock>()
  const bySource = new Map<Table, Folder | null>()
  const byEntity = new Map<Entity, Folder>()

  async function prove(table: DprTable): Promise<void> {
    const differences = await publishContract(storage, table, owner)
    if (differences.length === 0) return
    options.warn(`${folderName(table)} goes on with a new version of its contract: ${differences.join('; ')}`)
  }

  async function folder(table: DprTable): Promise<Folder> {
    const name = folderName(table)
    const state = options.state(name)
    const clock = clocks.get(name) ?? folderClock(state?.clock ?? 0)
    clocks.set(name, clock)
    return { staged: await staging.table(table, state?.newest ?? BEGINNING), clock }
  }

  async function sourceFolder(table: Table): Promise<Folder | null> {
    let found = proved.get(table)
    if (found === undefined) {
      found = sourceTable(table, options.columnKind)
      if (found !== null) await prove(found)
      proved.set(table, found)
    }
    return found === null ? null : folder(found)
  }

  async function entityFolder(entity: Entity): Promise<Folder> {
    let found = entities.get(entity)
    if (found === undefined) {
      found = entityTable(entity, options.projections)
      await prove(found)
      entities.set(entity, found)
    }
    return folder(found)
  }

  return {
    isOpen: ({ change, rows }) =>
      (change.op === 'm' || bySource.has(change.table)) && rows.every(({ entity }) => byEntity.has(entity)),
    open: async ({ change, rows }) => {
      if (change.op !== 'm' && !bySource.has(change.table)) bySource.set(change.table, await sourceFolder(change.table))
      for (const { entity } of rows) if (!byEntity.has(entity)) byEntity.set(entity, await entityFolder(entity))
    },
    ofSource: (table) => bySource.get(table) ?? null,
    ofEntity: (entity) => byEntity.get(entity)!,
    clocks,
    close: () => {
      bySource.clear()
      byEntity.clear()
    },
  }
}
