/** What a published report table is, and the pieces that several families of them share. */

export interface Report {
  /** Of the view: `report_…`. */
  readonly name: string
  /** What it shows and whose definition it is. */
  readonly doc: string
  /** Over the `current_…` views of the published copy. */
  readonly sql: string
  /**
   * What may leave: the same with `suppressed` counts, as `published_…`; null for rows about persons or single reports,
   * and for views whose difference to another would give a suppressed count away.
   */
  readonly published: { readonly counts: readonly string[]; readonly where?: string } | null
}

/** The definitions of the reports on the new service count neither of these; the status tracker counts drafts. */
export const REPORTED = `status NOT IN ('DUPLICATE', 'NOT_REPORTABLE', 'DRAFT')`
export const TRACKED = `status NOT IN ('DUPLICATE', 'NOT_REPORTABLE')`

/** A month or another period of London time, as a date. */
export function period(unit: 'day' | 'week' | 'month' | 'quarter' | 'year', time = 'incident_date_and_time_local') {
  return `CAST(date_trunc('${unit}', ${time}) AS DATE)`
}

/** Whether a report has an answer under a rule of `report_rule`. */
export function answered(rule: string, report = 'r'): string {
  return `${report}.id IN (SELECT report_id FROM report_rule_met WHERE rule = '${rule}')`
}
