/** Summaries of finds: every location that had one against every category or drug, 0 where there was none. */
import { period, REPORTED, type Report } from './analytics-report.ts'
import { DRUGS, FIND_CATEGORIES } from './analytics-report-rules.ts'

function listed(names: readonly string[]): string {
  return `(VALUES ${names.map((name) => `('${name}')`).join(', ')})`
}

export const FIND_REPORTS: readonly Report[] = [
  {
    name: 'report_finds',
    doc: 'Each find with its category: of its own question, or of what earlier question sets found, several being Multiple types.',
    sql: `
      SELECT r.id AS report_id, r.reference AS report_reference, r.location, r.status, r.incident_date_and_time_local,
        ${period('month')} AS month,
        coalesce(
          (SELECT max(category) FROM report_rule_met m WHERE m.rule = 'find_category' AND m.report_id = r.id),
          (SELECT CASE count(DISTINCT category) WHEN 0 THEN NULL WHEN 1 THEN max(category) ELSE 'Multiple types' END
           FROM report_rule_met m WHERE m.rule = 'find_category_earlier' AND m.report_id = r.id)) AS find_category
      FROM current_report r WHERE r.type_family = 'FIND' AND r.${REPORTED} AND r.location IS NOT NULL`,
    published: null,
  },
  summary('report_finds_by_category', 'find_category', FIND_CATEGORIES, 'SELECT * FROM report_finds'),
  summary(
    'report_finds_by_drug',
    'drug',
    DRUGS,
    `SELECT DISTINCT f.report_id, f.location, m.category AS drug
     FROM report_finds f JOIN report_rule_met m ON m.rule = 'drug' AND m.report_id = f.report_id`,
  ),
]

function summary(name: string, column: string, values: readonly string[], finds: string): Report {
  return {
    name,
    doc: `Finds and the prisoners in them by location and ${column.replace('_', ' ')}, all dates, ${values.length} rows a location.`,
    sql: `
      SELECT places.location, categories.name AS ${column}, count(DISTINCT f.report_id) AS num_of_incidents,
        count(DISTINCT p.prisoner_number_pseudonym) AS num_of_prisoners
      FROM (SELECT DISTINCT location FROM report_finds) places
      CROSS JOIN ${listed(values)} categories(name)
      LEFT JOIN (${finds}) f ON f.location = places.location AND f.${column} = categories.name
      LEFT JOIN current_prisoner_involvement p ON p.report_id = f.report_id
      GROUP BY places.location, categories.name`,
    published: { counts: ['num_of_incidents', 'num_of_prisoners'] },
  }
}
