/** Which incident a row belongs to: by its own reference, or by its parents' as they were when the change was made. */
import { tableName, type Table, type Tuple } from '../../core/change.ts'
import { partitionOf } from '../../core/partition.ts'
import type { Position } from '../../core/position.ts'
import type { Parents } from './parents.ts'
import { ROUTES } from './routes.ts'
import { columnText } from './tuples.ts'

/** How a table of this shape is routed; null for a table that belongs to no incident. */
export interface TableRoute {
  readonly name: string
  readonly referenceColumn: number | null
  readonly viaColumn: number | null
  readonly parent: string | null
  readonly keyColumn: number | null
}

const made = new WeakMap<Table, TableRoute | null>()

export function routeOf(table: Table): TableRoute | null {
  const known = made.get(table)
  if (known !== undefined) return known
  const route = makeRoute(table)
  made.set(table, route)
  return route
}

function makeRoute(table: Table): TableRoute | null {
  const name = tableName(table)
  const route = ROUTES.get(name)
  if (route === undefined) return null
  const column = (wanted: string | undefined): number | null => {
    const index = table.columns.findIndex((each) => each.name === wanted)
    return index === -1 ? null : index
  }
  return {
    name,
    referenceColumn: column(route.reference),
    viaColumn: column(route.via),
    parent: route.parent ?? null,
    keyColumn: column(route.key),
  }
}

/** Parents that the running transaction has made so far; they become the index's at its end. */
export interface TransactionParents {
  find(table: string, key: string): string | undefined
  /** A parent row as an insert or update leaves it, or as a delete removes it. */
  note(table: Table, before: Tuple | null, after: Tuple | null): void
  /** Works out the references of all parents noted: those of one table may stand in any order. */
  resolve(): void
  /** Hands the entries to the index. */
  settle(position: Position): void
}

interface Noted {
  readonly key: string
  readonly after: Tuple | null
  readonly route: TableRoute
}

export function transactionParents(parents: Parents): TransactionParents {
  const noted: Noted[] = []
  const added = new Map<string, string | null>()
  const find = (table: string, key: string): string | undefined => added.get(`${table}/${key}`) ?? undefined

  return {
    find,
    note: (table, before, after) => {
      const route = routeOf(table)
      if (route?.keyColumn == null) return
      const { keyColumn } = route
      const oldKey = before === null ? null : columnText(before, keyColumn)
      const newKey = after === null ? null : columnText(after, keyColumn)
      if (oldKey !== null && oldKey !== newKey) noted.push({ key: oldKey, after: null, route })
      if (newKey !== null) noted.push({ key: newKey, after, route })
    },
    resolve: () => {
      let unresolved = noted.filter((each) => each.after !== null)
      for (let left = -1; unresolved.length > 0 && unresolved.length !== left;) {
        left = unresolved.length
        unresolved = unresolved.filter(({ key, after, route }) => {
          const reference = referenceAfter(route, after!, find, parents)
          if (reference !== undefined) added.set(`${route.name}/${key}`, reference)
          return reference === undefined
        })
      }
    },
    settle: (position) => {
      for (const { key, after, route } of noted) {
        const reference = after === null ? null : (find(route.name, key) ?? null)
        parents.set(route.name, key, reference, position)
      }
    },
  }
}

type Find = (table: string, key: string) => string | undefined

function referenceAfter(route: TableRoute, row: Tuple, find: Find, parents: Parents): string | undefined {
  if (route.referenceColumn !== null) return columnText(row, route.referenceColumn) ?? undefined
  const key = route.viaColumn === null ? null : columnText(row, route.viaColumn)
  if (key === null || route.parent === null) return undefined
  return find(route.parent, key) ?? parents.find(route.parent, key)
}

/** The incident of a row as it was before the transaction; what the transaction itself made counts where nothing was. */
export function referenceBefore(
  route: TableRoute,
  row: Tuple,
  inTransaction: TransactionParents,
  parents: Parents,
): string | undefined {
  if (route.referenceColumn !== null) return columnText(row, route.referenceColumn) ?? undefined
  const key = route.viaColumn === null ? null : columnText(row, route.viaColumn)
  if (key === null || route.parent === null) return undefined
  return parents.find(route.parent, key) ?? inTransaction.find(route.parent, key)
}

/** The incident of a row as the transaction leaves it. */
export function referenceOf(
  route: TableRoute,
  row: Tuple,
  inTransaction: TransactionParents,
  parents: Parents,
): string | undefined {
  return referenceAfter(route, row, inTransaction.find, parents)
}

/** The partition of an incident, or of a row that belongs to none by its own key. */
export function partitionFor(reference: string | null, table: Table, row: Tuple, partitions: number): number {
  return partitionOf(Buffer.from(reference ?? ownKey(table, row)), partitions)
}

function ownKey(table: Table, row: Tuple): string {
  if (table.key.length === 0) return row.bytes.toString('latin1', row.start, row.end)
  return table.key
    .map(
      (name) =>
        columnText(
          row,
          table.columns.findIndex((each) => each.name === name),
        ) ?? '',
    )
    .join('/')
}
