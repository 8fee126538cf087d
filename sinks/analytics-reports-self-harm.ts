/** INC0018: self-harm by method. One incident may be of several methods. */
import { period, REPORTED, type Report } from './analytics-report.ts'

export const SELF_HARM_REPORTS: readonly Report[] = [
  {
    name: 'report_self_harm',
    doc: 'A row for each perpetrator of a SELF_HARM_1 report, with the methods that its answers name; Unknown when none.',
    sql: `
      SELECT r.id AS report_id, r.reference AS report_reference, r.location, r.incident_date_and_time_local,
        p.prisoner_number_pseudonym AS prisoner, coalesce(m.methods, 'Unknown') AS category
      FROM current_report r
      JOIN current_prisoner_involvement p ON p.report_id = r.id AND p.prisoner_role = 'PERPETRATOR'
      LEFT JOIN (SELECT report_id, string_agg(DISTINCT category, ', ' ORDER BY category) AS methods
                 FROM report_rule_met WHERE rule = 'self_harm_method' GROUP BY report_id) m ON m.report_id = r.id
      WHERE r.type = 'SELF_HARM_1' AND r.${REPORTED} AND r.location IS NOT NULL`,
    published: null,
  },
  {
    name: 'report_self_harm_by_method',
    doc: 'Self-harm incidents and the prisoners in them, by month of London time, location and method.',
    sql: `
      SELECT ${period('month')} AS start_date, location, coalesce(m.category, 'Unknown') AS method,
        count(DISTINCT s.report_id) AS num_of_incidents, count(DISTINCT prisoner) AS num_of_prisoners
      FROM report_self_harm s
      LEFT JOIN report_rule_met m ON m.rule = 'self_harm_method' AND m.report_id = s.report_id
      GROUP BY ${period('month')}, location, coalesce(m.category, 'Unknown')`,
    published: { counts: ['num_of_incidents', 'num_of_prisoners'] },
  },
]
