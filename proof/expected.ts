/** What each place must hold of a source row: the row itself, and what it means under the place's clearance. */
import { tableName, type RowChange, type Table } from '../core/change.ts'
import { ENTITIES, type Entity, type IncidentChange } from '../core/incident.ts'
import { columnKind } from '../schemas/policy/columns.ts'
import { CLEARANCES, OUTPUTS, type Output } from '../schemas/policy/clearance.ts'
import { projections, type Projections } from '../schemas/policy/projection.ts'
import { sourceTable } from '../sinks/dpr-raw-tables.ts'
import type { DprTable } from '../sinks/dpr-raw-contracts.ts'
import { unify } from '../transforms/unify.ts'
import { digest, fieldCell, rowText, sourceCell, type Cell } from './canonical.ts'
import { dprCells } from './dpr-cells.ts'
import { rowKey, shownKey } from './source-keys.ts'

/** Which form of a row a place holds: a source table's as it is, as DPR has it, or a unified row for an output. */
export type Form = 'table' | 'dpr-table' | Output

/** One row of one form. `kind` is the index of the source table, or of the entity in ENTITIES. */
export interface Unit {
  readonly kind: number
  readonly key: string
}

/** A source row by table index and key. */
export interface Origin {
  readonly table: number
  readonly key: string
}

export interface ExpectedRow extends Unit {
  readonly origin: Origin
  readonly cells: () => readonly Cell[]
  readonly digest: string
}

export interface Expectations {
  readonly tables: readonly Table[]
  readonly projections: Readonly<Record<Output, Projections>>
  /** By table index; null where DPR has no folder. */
  readonly dprTables: readonly (DprTable | null)[]
  /** Names of the kinds of a form, by `kind`; null where the form has none of it. */
  kinds(form: Form): readonly (string | null)[]
  columns(form: Form, kind: number): readonly string[]
  /** The key as people write it. */
  shown(form: Form, key: string): string
  /** The rows of one form that a source row makes. */
  rowsOf(form: Form, change: RowChange, origin: Origin): ExpectedRow[]
}

/** Outputs of the same clearance hold the same rows: these, one for each clearance, are hashed. */
export const CLEARED: readonly Output[] = OUTPUTS.filter((output) => cleared(output) === output)

function cleared(output: Output): Output {
  return OUTPUTS.find((other) => JSON.stringify(CLEARANCES[other]) === JSON.stringify(CLEARANCES[output]))!
}

function digestColumn(output: Output): string {
  return `digest${CLEARED.indexOf(cleared(output))}`
}

/** The `kind` of an entity's rows. */
export function entityKind(entity: Entity): number {
  return ENTITIES.indexOf(entity)
}

export function isTableForm(form: Form): form is 'table' | 'dpr-table' {
  return form === 'table' || form === 'dpr-table'
}

export function expectations(tables: readonly Table[], pseudonymKey: string): Expectations {
  const projected = Object.fromEntries(
    OUTPUTS.map((output) => [output, projections(output, pseudonymKey)]),
  ) as unknown as Record<Output, Projections>
  const dprTables = tables.map((table) => sourceTable(table, columnKind))
  const names = tables.map(tableName)

  function unifiedRows(output: Output, meaning: IncidentChange, origin: Origin): ExpectedRow[] {
    return meaning.rows.map(({ entity, id, value }) => {
      const { project, fields: contract } = projected[output][entity]
      const fields = project(value)
      const cells = contract.map(({ type }, i) => fieldCell(fields[i], type))
      return {
        kind: entityKind(entity),
        key: id,
        origin,
        cells: () => cells,
        digest: digest(rowText(cells)),
      }
    })
  }

  return {
    tables,
    projections: projected,
    dprTables,
    kinds: (form) => {
      if (form === 'table') return names.map((name, i) => (tables[i]!.key.length === 0 ? null : name))
      if (form === 'dpr-table') return names.map((name, i) => (dprTables[i] === null ? null : name))
      return ENTITIES
    },
    columns: (form, kind) => {
      if (form === 'table') return tables[kind]!.columns.map(({ name }) => name)
      if (form === 'dpr-table') return dprTables[kind]!.columns.map(({ name }) => name)
      return projected[form][ENTITIES[kind]!].fields.map(({ name }) => name)
    },
    shown: (form, key) => (isTableForm(form) ? shownKey(key) : key),
    rowsOf: (form, change, origin) => {
      if (!isTableForm(form)) return unifiedRows(form, unify(change), origin)
      const dpr = dprTables[origin.table]
      if (form === 'dpr-table' && dpr == null) return []
      const cells =
        form === 'table'
          ? change.table.columns.map((column) => sourceCell(column, change.after![column.name]))
          : dprCells(dpr!, change.after!)
      return [{ kind: origin.table, key: origin.key, origin, cells: () => cells, digest: digest(rowText(cells)) }]
    },
  }
}

/**
 * The rows that a form must have, as `kind, key, digest`, out of what `loadExpected` made; where the form's rows are not
 * the source's own, with the source row as `origin_table, origin_key`.
 */
export function expectedSql(form: Form): string {
  if (form === 'table') return `SELECT kind, key, digest, ${ITSELF} FROM expected_row`
  if (form === 'dpr-table') return `SELECT kind, key, dpr AS digest, ${ITSELF} FROM expected_row WHERE dpr IS NOT NULL`
  return `SELECT kind, key, ${digestColumn(form)} AS digest, origin_table, origin_key FROM expected_unified`
}

const ITSELF = 'CAST(NULL AS UTINYINT) AS origin_table, CAST(NULL AS VARCHAR) AS origin_key'

export function unitKey({ kind, key }: Unit): string {
  return rowKey(kind, key)
}
