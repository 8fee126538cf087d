/**
 * Safety in Custody's headline measures as far as incident reports can give them. Rates need the average population of each
 * location and month, which somebody provides as `population.csv`; without it they are null.
 */
import { REPORTED, type Report } from './analytics-report.ts'

const MEASURES = `
  SELECT r.id, r.location, CAST(date_trunc('month', r.incident_date_and_time_local) AS DATE) AS month,
    r.type_family = 'SELF_HARM' AS self_harm, r.type_family = 'ASSAULT' AS assault, coalesce(a.serious, false) AS serious,
    a.subtype
  FROM current_report r LEFT JOIN report_assaults a ON a.report_id = r.id
  WHERE r.${REPORTED} AND r.location IS NOT NULL AND r.type_family IN ('SELF_HARM', 'ASSAULT')`

const COUNTS = `
  count(*) FILTER (self_harm) AS self_harm_incidents,
  count(*) FILTER (self_harm AND id IN (
    SELECT report_id FROM current_prisoner_involvement WHERE outcome = 'SEEN_OUTSIDE_HOSP')) AS self_harm_outside_hospital,
  count(*) FILTER (assault) AS assaults,
  count(*) FILTER (serious) AS serious_assaults,
  count(*) FILTER (subtype = 'Prisoner on prisoner (PoP)') AS prisoner_on_prisoner,
  count(*) FILTER (subtype = 'Prisoner on staff (PoS)') AS on_staff`

const COUNTED = [
  'self_harm_incidents',
  'self_harm_outside_hospital',
  'assaults',
  'serious_assaults',
  'prisoner_on_prisoner',
  'on_staff',
] as const

const HARMED = `
  SELECT p.prisoner_number_pseudonym AS prisoner, m.month FROM measures m
  JOIN current_prisoner_involvement p ON p.report_id = m.id AND p.prisoner_role = 'PERPETRATOR' WHERE m.self_harm`

/** For periods of so many months that end with a quarter. A population counts when every month of the period has one. */
function national(name: string, doc: string, months: number): Report {
  const within = (month: string) => `${month} > quarters.quarter - INTERVAL ${months - 3} MONTH - INTERVAL 1 DAY
    AND ${month} < quarters.quarter + INTERVAL 3 MONTH`
  return {
    name,
    doc,
    sql: `
      WITH measures AS MATERIALIZED (${MEASURES}),
      quarters AS (SELECT DISTINCT CAST(date_trunc('quarter', month) AS DATE) AS quarter FROM measures),
      harmed AS MATERIALIZED (${HARMED}),
      people AS (SELECT month, sum(average_population) AS people FROM population GROUP BY month),
      counted AS (
        SELECT quarter, ${COUNTS} FROM quarters JOIN measures ON ${within('month')} GROUP BY quarter),
      individuals AS (
        SELECT quarter, count(DISTINCT prisoner) AS individuals_self_harming
        FROM quarters LEFT JOIN harmed ON ${within('harmed.month')} GROUP BY quarter),
      populations AS (
        SELECT quarter, CASE WHEN count(people) = ${months} THEN avg(people) END AS average_population
        FROM quarters LEFT JOIN people ON ${within('people.month')} GROUP BY quarter)
      SELECT *, self_harm_incidents / nullif(individuals_self_harming, 0) AS incidents_per_individual,
        self_harm_incidents * 1000.0 / average_population AS self_harm_per_1000,
        individuals_self_harming * 1000.0 / average_population AS individuals_per_1000,
        assaults * 1000.0 / average_population AS assaults_per_1000
      FROM counted LEFT JOIN individuals USING (quarter) LEFT JOIN populations USING (quarter)`,
    published: null,
  }
}

export const NATIONAL_REPORTS: readonly Report[] = [
  national('report_safety_in_custody_quarterly', 'The headline measures of each quarter, all establishments.', 3),
  national(
    'report_safety_in_custody_annual',
    'The headline measures of the twelve months that end with each quarter, all establishments.',
    12,
  ),
  {
    name: 'report_safety_in_custody_by_location',
    doc: 'The measures of each location and month, and per 1,000 prisoners where somebody provides the population.',
    sql: `
      SELECT measures.month, measures.location, ${COUNTS}, any_value(average_population) AS average_population,
        self_harm_incidents * 1000.0 / any_value(average_population) AS self_harm_per_1000,
        assaults * 1000.0 / any_value(average_population) AS assaults_per_1000,
        prisoner_on_prisoner * 1000.0 / any_value(average_population) AS prisoner_on_prisoner_per_1000,
        on_staff * 1000.0 / any_value(average_population) AS on_staff_per_1000
      FROM (${MEASURES}) measures LEFT JOIN population USING (location, month)
      GROUP BY measures.month, measures.location`,
    published: {
      counts: [...COUNTED],
    },
  },
]

export const RATES = new Map([
  ['self_harm_per_1000', 'self_harm_incidents'],
  ['assaults_per_1000', 'assaults'],
  ['prisoner_on_prisoner_per_1000', 'prisoner_on_prisoner'],
  ['on_staff_per_1000', 'on_staff'],
])
