/**
 * What every output holds, compiled out of policy and contracts: a snapshot of it lies in clearances.json and is
 * reviewed with each change, so that what will appear or vanish where is known before rows flow.
 */
import { ENTITIES } from '../../core/incident.ts'
import type { EntityField } from '../entity.ts'
import { CLEARANCES, OUTPUTS } from './clearance.ts'
import { CLASSIFIED_TABLES, classifiedColumns } from './columns.ts'
import { projections } from './projection.ts'

/** By output, entity (or source table where an output has those) and field: what it is. */
export type Clearances = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, string>>>>>>

export function clearances(): Clearances {
  return Object.fromEntries(
    OUTPUTS.map((output) => {
      const projected = projections(output, '')
      const entities = ENTITIES.map((entity) => [
        entity,
        Object.fromEntries(projected[entity].fields.map((field) => [field.name, fieldText(field)])),
      ])
      return [output, Object.fromEntries(output === 'dpr-raw' ? [...entities, ...sourceTables()] : entities)]
    }),
  ) as Clearances
}

function fieldText({ type, nullable, kind }: EntityField): string {
  return `${type}${nullable ? ' or null' : ''}, ${kind}`
}

/** DPR also gets the tables of the incident database, column for column. */
function sourceTables(): [string, Record<string, string>][] {
  return CLASSIFIED_TABLES.filter((table) => table.startsWith('public.')).map((table) => [
    table,
    Object.fromEntries(
      classifiedColumns(table)
        .filter(([, kind]) => CLEARANCES['dpr-raw'][kind] === 'clear')
        .map(([column, kind]) => [column, kind]),
    ),
  ])
}

export interface Difference {
  readonly output: string
  readonly entity: string
  readonly field: string
  readonly change: 'appears' | 'vanishes' | 'changes'
  readonly before: string | null
  readonly after: string | null
}

/** What is there now and was not, what was and is not, and what is another; in order of output, entity, field. */
export function differences(before: Clearances, after: Clearances): Difference[] {
  const found: Difference[] = []
  for (const output of names(before, after)) {
    for (const entity of names(before[output], after[output])) {
      const [old, now] = [before[output]?.[entity], after[output]?.[entity]]
      for (const field of names(old, now)) {
        const [was, is] = [old?.[field] ?? null, now?.[field] ?? null]
        if (was === is) continue
        const change = was === null ? 'appears' : is === null ? 'vanishes' : 'changes'
        found.push({ output, entity, field, change, before: was, after: is })
      }
    }
  }
  return found
}

function names(...objects: readonly (object | undefined)[]): string[] {
  return [...new Set(objects.flatMap((each) => Object.keys(each ?? {})))]
}
