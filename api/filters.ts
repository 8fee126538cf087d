/** Which reports are asked for, as SQL's conditions on them. */
import type { ReportFilters } from './parameters.ts'

/** The reports that speak for their incident: the store keeps which do. */
export const REPORTS = '(SELECT * FROM prisons.incidents_report WHERE NOT hidden) r'

/** A WHERE on `r`, empty where everything is asked for, and its parameters from $1 on. */
export function filters({ asked, caseloads }: ReportFilters): { where: string; values: unknown[] } {
  const conditions: string[] = []
  const values: unknown[] = []
  const when = (value: unknown, condition: (parameter: string) => string): void => {
    if (value === undefined || (Array.isArray(value) && value.length === 0)) return
    values.push(value)
    conditions.push(condition(`$${values.length}`))
  }
  /** One value is asked for as such: only then does an index give its rows in the order of a page. */
  const oneOf = (column: string, allowed: readonly string[]): void =>
    allowed.length === 1
      ? when(allowed[0], (p) => `r.${column} = ${p}`)
      : when(allowed, (p) => `r.${column} = ANY (${p})`)
  if (caseloads !== null) {
    if (caseloads.length === 0) conditions.push('false')
    oneOf('location', caseloads)
  }
  when(asked.reference, (p) => `r.reference = ${p}`)
  oneOf('location', asked.location ?? [])
  when(asked.source, (p) => `r.created_in = ${p}`)
  oneOf('status', asked.status ?? [])
  oneOf('type', asked.type ?? [])
  when(asked.incidentDateFrom, (p) => `r.incident_date_and_time_local >= ${p}::date`)
  when(asked.incidentDateUntil, (p) => `r.incident_date_and_time_local < ${p}::date + 1`)
  when(asked.reportedDateFrom, (p) => `r.reported_at_local >= ${p}::date`)
  when(asked.reportedDateUntil, (p) => `r.reported_at_local < ${p}::date + 1`)
  when(asked.reportedByUsername, (p) => `r.reported_by = ${p}`)
  when(asked.involvingStaffUsername, (p) => involving('staff_involvement', `staff_username = ${p}`))
  when(asked.involvingPrisonerNumber, (p) => involving('prisoner_involvement', `prisoner_number = ${p}`))
  // As in the present service number and role may be those of two prisoners of the report (rule service.filters).
  when(asked.involvingPrisonerRole, (p) => involving('prisoner_involvement', `prisoner_role = ANY (${p})`))
  when(asked.userAction, (p) => `r.last_user_action = ANY (${p})`)
  return { where: conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`, values }
}

function involving(table: string, condition: string): string {
  return `EXISTS (SELECT FROM prisons.incidents_${table} i
                  WHERE i.reference = r.reference AND i.report_id = r.id AND i.${condition})`
}
