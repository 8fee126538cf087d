/** What a Change means in the unified model: total, pure, one row at a time. */
import { tableName, type Change, type Row, type RowChange } from '../core/change.ts'
import { PipelineError } from '../core/error.ts'
import type { Absence, EntityRow, IncidentChange } from '../core/incident.ts'
import { DPS_QUESTION_RULES } from './dps-questions.ts'
import { DPS_RULES } from './dps.ts'
import { NOMIS_QUESTION_RULES } from './nomis-questions.ts'
import { isCopyOfDps, NOMIS_RULES } from './nomis.ts'
import { tooLarge } from './omitted.ts'
import { REFERENCE_RULES } from './reference.ts'
import type { Rule } from './rule.ts'

const RULES: readonly Rule[] = [
  ...DPS_RULES,
  ...DPS_QUESTION_RULES,
  ...NOMIS_RULES,
  ...NOMIS_QUESTION_RULES,
  ...REFERENCE_RULES,
]

/** The source tables, as `schema.table`, whose rows are in the unified model. */
export const UNIFIED_TABLES: readonly string[] = RULES.map((rule) => rule.table)

const ruleByTable = new Map(RULES.map((rule) => [rule.table, rule]))

const NONE: readonly EntityRow[] = []

/**
 * Maps one Change; never throws. An unknown code (UNKNOWN_CODE), a value that the unified model cannot hold
 * (VALUE_RANGE), a row without incident (NO_INCIDENT) and one that its record could not hold (RECORD_TOO_LARGE, whatever its
 * table) are refusals: such a row makes nothing, so what it made before
 * goes, and its incident is incomplete until it can be mapped or is deleted. An update deletes what the row before made
 * and the row after does not; a delete carries what the row before made. So every place holds at any time what the
 * source's rows make, each by itself.
 */
export function unify(change: Change): IncidentChange {
  if (change.op === 'm') return outcome(change, NONE, null, null)
  const rule = ruleByTable.get(tableName(change.table))
  const notWhole = change.omitted === undefined ? null : tooLarge(change)
  if (rule === undefined) return outcome(change, NONE, notWhole, 'not-unified')
  if (isCopyOfDps(change)) return outcome(change, NONE, notWhole, 'copy-of-dps')
  if (notWhole !== null) return outcome(change, deletes(mapped(rule, change, change.before).rows), notWhole, null)
  if (change.after === null) return outcome(change, deletes(mapped(rule, change, change.before).rows), null, null)

  const { rows, refusal } = mapped(rule, change, change.after)
  if (refusal === null && !mayMoveIds(rule, change.before, change.after)) return outcome(change, rows, null, null)
  const gone = mapped(rule, change, change.before).rows.filter((row) => !rows.some((other) => sameRow(row, other)))
  return outcome(change, [...deletes(gone), ...rows], refusal, null)
}

interface Mapped {
  readonly rows: readonly EntityRow[]
  readonly refusal: PipelineError | null
}

function mapped(rule: Rule, change: RowChange, row: Row | null): Mapped {
  if (row === null) return { rows: NONE, refusal: null }
  try {
    return { rows: rule.map({ row, change }), refusal: null }
  } catch (error) {
    if (error instanceof PipelineError) return { rows: NONE, refusal: error }
    throw error
  }
}

/** Whether an update can have taken rows away: ids are made of the key, and one column may decide the rest. */
function mayMoveIds({ key, shapedBy }: Rule, before: Row | null, after: Row): boolean {
  if (before === null) return false
  if (shapedBy !== null && (before[shapedBy] ?? null) !== (after[shapedBy] ?? null)) return true
  return key.some((column) => before[column] !== after[column])
}

function sameRow(a: EntityRow, b: EntityRow): boolean {
  return a.entity === b.entity && a.id === b.id
}

function deletes(rows: readonly EntityRow[]): EntityRow[] {
  return rows.map((row) => ({ ...row, op: 'delete' }))
}

function outcome(
  change: Change,
  rows: readonly EntityRow[],
  refusal: PipelineError | null,
  absence: Absence | null,
): IncidentChange {
  return { change, rows, refusal, absence }
}
