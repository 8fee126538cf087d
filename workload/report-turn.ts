/** What the patterns of the incident reporting service have in common: one report that exists, and its mark of change. */
import { forget, pickRecent, type Pattern, type Turn } from './patterns.ts'

export interface Report {
  readonly id: string
  readonly type: string
  readonly status: string
  readonly reference: string
  readonly location: string
}

/** Runs on a report that exists and is locked; one that others deleted is forgotten. */
export function onReport(run: (turn: Turn, report: Report) => Promise<boolean>): Pattern['run'] {
  return async (turn) => {
    const id = pickRecent(turn.random, turn.world.reports)
    if (id === undefined) return false
    const [report] = await turn.write.read<Report>(
      'SELECT id, type, status, report_reference AS reference, location FROM public.report WHERE id = $1 FOR UPDATE',
      [id],
    )
    if (report === undefined) {
      forget(turn.world.reports, id)
      return false
    }
    const done = await run(turn, report)
    if (done) {
      forget(turn.world.changed, id)
      turn.world.changed.push(id)
    }
    return done
  }
}

/** What every edit does to the report itself, with more columns from $4 on. */
export async function touch(
  { write, at, by }: Turn,
  id: string,
  more = '',
  ...values: readonly unknown[]
): Promise<void> {
  await write.write(
    `UPDATE public.report SET modified_at = $2, modified_by = $3, modified_in = 'DPS'${more === '' ? '' : `, ${more}`} WHERE id = $1`,
    [id, at, by, ...values],
  )
}

/** After the last sequence among a report's children; the first is 0. */
export async function nextSequence({ write }: Turn, table: string, report: string): Promise<number> {
  const [row] = await write.read<{ next: number }>(
    `SELECT coalesce(max(sequence), -1) + 1 AS next FROM ${table} WHERE report_id = $1`,
    [report],
  )
  return row!.next
}
