/** A topic of pair transactions: both rows of a pair get the transaction's number, so half of one shows. */
import type { IncidentChange } from '../../core/incident.ts'
import { incidentChange, reportRow } from './analytics.ts'
import { uuid } from './unified-rows.ts'

export const PAIRS = 20

/** The two changes of the `n`th transaction, at offsets 2n and 2n + 1 of partition 0. */
export function pairTransaction(n: number): readonly [IncidentChange, IncidentChange] {
  const pair = n % PAIRS
  const change = { lsn: 10 * (n + 1), op: n < PAIRS ? ('c' as const) : ('u' as const) }
  const state = { status: String(n) }
  return [
    incidentChange({ ...change, offset: 2 * n, last: false, rows: [reportRow(uuid(pair), state)] }),
    incidentChange({ ...change, offset: 2 * n + 1, ordinal: 2, rows: [reportRow(uuid(pair + PAIRS), state)] }),
  ]
}

/** What the first `transactions` leave: status by id. */
export function pairsAfter(transactions: number): Record<string, string> {
  const rows: [string, string][] = []
  for (let n = Math.max(0, transactions - PAIRS); n < transactions; n += 1) {
    for (const { rows: made } of pairTransaction(n)) rows.push([made[0]!.id, String(n)])
  }
  return Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)))
}
