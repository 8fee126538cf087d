/** Rows of every source table whose cells can be found again wherever they go. */
import type { Row, Value } from '../../core/change.ts'
import { SOURCE_TABLES } from '../../connectors/postgres/source-tables.ts'
import type { Kind } from '../../schemas/entity.ts'
import { columnKind } from '../../schemas/policy/columns.ts'
import { SAMPLED_TABLES, sourceRow, type UnifiedTable } from './source-rows.ts'

export interface Canary {
  readonly kind: Kind
  /** `schema.table.column` */
  readonly column: string
}

/** Columns whose codes the rules decode: anything else in them is refused. */
const DECODED =
  /\.(type|source|status|modified_in|prisoner_role|outcome|staff_role|incident_status|incident_type|participation_role|outcome_code|\w+_flag)$/

export interface Canaries {
  /** By value as text. */
  readonly known: ReadonlyMap<string, Canary>
  /** A whole row with the `n`th keys and new canaries; `refused` puts them into decoded columns too. */
  row(table: UnifiedTable, n: number, refused?: boolean): Row
  /** Those of this kind in the cells of a row that `row` made. */
  found(text: string): Set<string>
}

export function canaries(): Canaries {
  const known = new Map<string, Canary>()

  function fresh(kind: Kind, column: string): string {
    // six characters fit into every text column that holds more than a flag
    const text = `zk${known.size.toString(36).padStart(4, '0')}`
    known.set(text, { kind, column })
    return text
  }

  function cell(path: string, type: string, kind: Kind, value: Value, refused: boolean): Value {
    if (value === null) return null
    if (typeof value === 'number' && ['username', 'prisonerNumber', 'name'].includes(kind)) {
      const number = 77_000_000 + known.size
      known.set(String(number), { kind, column: path })
      return number
    }
    if (!/^(text|character varying)/.test(type) || Number(/\d+/.exec(type)?.[0] ?? 99) < 6) return value
    if (DECODED.test(path) && !refused) return value
    if (path === 'nomis.incident_cases.incident_details') {
      const [text, last, first, more] = Array.from({ length: 4 }, () => fresh(kind, path))
      return `${text}User:${last},${first} Date:05-JUL-2004 10:15${more}`
    }
    return fresh(kind, path)
  }

  return {
    known,
    row: (table, n, refused = false) => {
      const row = sourceRow(table)
      const { schema, name, columns } = SOURCE_TABLES.find((each) => `${each.schema}.${each.name}` === table)!
      return Object.fromEntries(
        columns.map(({ name: column, type }): [string, Value] => {
          const kind = columnKind(schema, name, column)!
          const value = row[column] ?? null
          if (kind === 'key') return [column, nth(value, n)]
          return [column, cell(`${table}.${column}`, type, kind, value, refused)]
        }),
      )
    },
    found: (text) =>
      new Set([...text.matchAll(/zk[0-9a-z]{4}|\b77\d{6}\b/g)].map(([each]) => each).filter((each) => known.has(each))),
  }
}

/** Another key of the same form. */
function nth(value: Value, n: number): Value {
  if (typeof value === 'number') return value + 1000 * n
  if (typeof value !== 'string') return value
  if (/^\d+$/.test(value)) return String(Number(value) + 1000 * n)
  if (/^[0-9a-f-]{36}$/.test(value)) return value.slice(0, -2) + n.toString(16).padStart(2, '0')
  return `${value.slice(0, 10)}_${n}`
}

/** Parents before children. */
export const CANARY_TABLES = SAMPLED_TABLES
