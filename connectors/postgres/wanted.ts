/** What a request is about: tables of the publication, and rows of the raw topic. */
import { tableName } from '../../core/change.ts'
import { incidentSelection, type Published } from './chunks.ts'
import type { Request } from './requests.ts'
import { childrenOf } from './stopped.ts'
import type { Wanted } from './sweep.ts'

/** A table that stopped has stopped its children: they are healed together. */
export function tablesOf(
  request: Request,
  tables: ReadonlyMap<string, Published>,
  isStopped: (table: string) => boolean,
): string[] {
  switch (request.kind) {
    case 'tables': {
      if (request.tables === null) return [...tables.keys()]
      const named = request.tables.flatMap((name) => [
        name,
        ...(request.sweep && isStopped(name)
          ? childrenOf(name).filter((child) => tables.has(child) && isStopped(child))
          : []),
      ])
      const known = [...tables.keys()].filter((name) => named.includes(name))
      return [...known, ...named.filter((name) => !tables.has(name))]
    }
    case 'rows':
      return [request.table]
    case 'incidents':
      return [...tables.values()]
        .filter((each) => incidentSelection(each, request.references, tables) !== null)
        .map(({ table }) => tableName(table))
  }
}

/** Which live rows of the topic a sweep is to look up. */
export function wantedOf(request: Request, tables: readonly string[]): Wanted {
  const names = new Set(tables)
  switch (request.kind) {
    case 'tables':
      return (table) => names.has(table)
    case 'rows': {
      const keys = new Set(request.keys.map((key) => JSON.stringify(key)))
      return (table, key) => table === request.table && keys.has(key)
    }
    case 'incidents': {
      const references = new Set(request.references)
      return (table, _, reference) => names.has(table) && reference !== null && references.has(reference)
    }
  }
}
