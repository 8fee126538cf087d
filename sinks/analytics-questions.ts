/**
 * Questions that Safety Diagnostic Tool and Performance Hub ask, each with the SQL that answers it from the published copy.
 * docs/analysts.md shows the same, and small numbers are suppressed in every answer.
 */
export interface AnalystQuestion {
  readonly name: string
  readonly question: string
  readonly sql: string
}

export const ANALYST_QUESTIONS: readonly AnalystQuestion[] = [
  {
    name: 'by-prison-and-month',
    question: 'How many incidents of each type had each prison, month by month?',
    sql: `SELECT location, start_date, type, num_of_incidents
FROM published_incidents_by_location_per_month ORDER BY ALL`,
  },
  {
    name: 'serious-assaults',
    question: 'How many serious and sexual assaults had each prison, month by month?',
    sql: `SELECT location, start_date, num_of_serious, num_of_sexual
FROM published_serious_assaults_per_month ORDER BY ALL`,
  },
  {
    name: 'whom-assaults-were-on',
    question: 'How many assaults were on prisoners, how many on staff?',
    sql: `SELECT location, start_date, subtype, num_of_incidents
FROM published_assault_subtypes_per_month ORDER BY ALL`,
  },
  {
    name: 'self-harm-by-method',
    question: 'By which methods did prisoners harm themselves, and how many of them?',
    sql: `SELECT location, start_date, method, num_of_incidents, num_of_prisoners
FROM published_self_harm_by_method ORDER BY ALL`,
  },
  {
    name: 'rates',
    question: 'How many assaults and self-harm incidents were there per 1,000 prisoners?',
    sql: `SELECT location, month, self_harm_per_1000, assaults_per_1000, prisoner_on_prisoner_per_1000, on_staff_per_1000
FROM published_safety_in_custody_by_location ORDER BY ALL`,
  },
  {
    name: 'finds',
    question: 'What was found, and where?',
    sql: `SELECT location, find_category, num_of_incidents, num_of_prisoners
FROM published_finds_by_category ORDER BY ALL`,
  },
  {
    name: 'backlog',
    question: 'How many reports of each prison stand in which status?',
    sql: `SELECT location, status_code, suppressed(sum(total)) AS total
FROM report_status_tracker
WHERE location IS NOT NULL AND incident_code IS NOT NULL AND status_code IS NOT NULL
GROUP BY location, status_code ORDER BY ALL`,
  },
  {
    name: 'hours',
    question: 'At which hours of the day do assaults happen?',
    sql: `SELECT hour(incident_date_and_time_local) AS hour, suppressed(count(*)) AS assaults
FROM report_assaults GROUP BY hour ORDER BY hour`,
  },
  {
    name: 'repeated',
    question: 'How many prisoners were part in one, two, three … assaults?',
    sql: `SELECT assault_count, suppressed(count(*)) AS prisoners
FROM report_prisoner_summary WHERE assault_count > 0 GROUP BY assault_count ORDER BY assault_count`,
  },
  {
    name: 'closing',
    question: 'How many days does a report take from being made to being closed, by type?',
    sql: `SELECT type_family, suppressed(count(*)) AS closed_reports,
  CASE WHEN count(*) > 5 THEN median(date_diff('day', reported_at, closed.changed_at)) END AS median_days
FROM current_report r
JOIN (SELECT report_id, max(changed_at) AS changed_at FROM current_status_change
      WHERE status = 'CLOSED' AND NOT synthetic GROUP BY report_id) closed ON closed.report_id = r.id
WHERE r.status = 'CLOSED' GROUP BY type_family ORDER BY type_family`,
  },
]
