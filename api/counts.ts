/** How many reports match: exact, and on the answer's own snapshot. */
import type { Query } from './database.ts'
import { filters, REPORTS } from './filters.ts'
import type { CountedBy, ReportFilters } from './parameters.ts'

/** What the store keeps a count for each of. */
const COUNTED: ReadonlySet<string> = new Set(['location', 'source', 'status', 'type'])

const MAINTAINED = { table: 'prisons.incidents_report_count r', total: 'coalesce(sum(r.reports), 0)::bigint' }
const REPORT_BY_REPORT = { table: REPORTS, total: 'count(*)' }

/** A few thousand counts where everything is asked for; who asks for a person or for some days matches few reports. */
function countable({ asked }: ReportFilters, by: readonly CountedBy[] = []): typeof MAINTAINED {
  const maintained = Object.entries(asked).every(
    ([name, value]) => COUNTED.has(name) || value === undefined || (Array.isArray(value) && value.length === 0),
  )
  return maintained && !by.includes('month') ? MAINTAINED : REPORT_BY_REPORT
}

export async function countReports(query: Query, which: ReportFilters): Promise<number> {
  const { where, values } = filters(which)
  const { table, total } = countable(which)
  const [row] = await query<{ total: number }>(`SELECT ${total} AS total FROM ${table} ${where}`, values)
  return row!.total
}

/** More than these are not one answer. */
export const MOST_GROUPS = 10_000

const GROUPS: Readonly<Record<CountedBy, string>> = {
  prison: `coalesce(r.location, '')`,
  type: 'r.type',
  status: 'r.status',
  month: `to_char(r.incident_date_and_time_local, 'YYYY-MM')`,
}

/** How many reports match, in all and of each group; one more than {@link MOST_GROUPS} when there are too many. */
export async function readCounts(query: Query, { by, ...which }: ReportFilters & { by: readonly CountedBy[] }) {
  const { where, values } = filters(which)
  const { table, total } = countable(which, by)
  const columns = by.map((each) => `${GROUPS[each]} AS "${each}"`).join(', ')
  const places = by.map((_, i) => i + 1).join(', ')
  const groups = await query<Partial<Record<CountedBy, string>> & { count: number }>(
    `SELECT ${columns}, ${total} AS count FROM ${table} ${where}
     GROUP BY ${places} HAVING ${total} > 0 ORDER BY ${places} LIMIT ${MOST_GROUPS + 1}`,
    values,
  )
  return { total: groups.reduce((sum, { count }) => sum + count, 0), groups }
}
