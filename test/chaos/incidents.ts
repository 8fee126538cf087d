/** Which incident a row of the ledger belongs to, worked out once more: by what the oracle told of its parents. */
import type { OracleTransaction, PlainRow } from './oracle.ts'

/** A table's column that names its parent, and the parent's table. */
const PARENTS: Readonly<Record<string, readonly [column: string, table: string]>> = {
  'public.status_history': ['report_id', 'public.report'],
  'public.question': ['report_id', 'public.report'],
  'public.history': ['report_id', 'public.report'],
  'public.response': ['question_id', 'public.question'],
  'public.historical_question': ['history_id', 'public.history'],
  'public.historical_response': ['historical_question_id', 'public.historical_question'],
}

const OWN: Readonly<Record<string, string>> = {
  'public.report': 'report_reference',
  'nomis.incident_cases': 'incident_case_id',
  'nomis.incident_case_parties': 'incident_case_id',
}

export interface Incidents {
  /** The ledger never gives a parent to another incident, so what was learned stays right. */
  learn(oracle: readonly OracleTransaction[]): void
  /** Undefined for a table that belongs to none. */
  of(table: string, row: PlainRow): string | undefined
}

export function incidents(): Incidents {
  const known = new Map<string, string>()

  function of(table: string, row: PlainRow): string | undefined {
    const own = OWN[table]
    if (own !== undefined) return row.get(own) ?? undefined
    const [column = '', parent = ''] = PARENTS[table] ?? []
    return known.get(`${parent}/${row.get(column)}`)
  }

  return {
    of,
    learn: (oracle) => {
      for (const { changes } of oracle) {
        for (const { table, after } of changes) {
          const incident = after === null ? undefined : of(table, after)
          if (incident !== undefined) known.set(`${table}/${after!.get('id')}`, incident)
        }
      }
    },
  }
}
