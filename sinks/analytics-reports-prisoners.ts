/** Reports about persons, who are pseudonyms here: never published as they are. */
import { period, REPORTED, type Report } from './analytics-report.ts'

const INVOLVED = `
  SELECT r.id, r.location, r.type_family, r.incident_date_and_time_local, p.prisoner_number_pseudonym AS prisoner
  FROM current_prisoner_involvement p JOIN current_report r ON r.id = p.report_id
  WHERE r.${REPORTED} AND p.prisoner_number_pseudonym IS NOT NULL`

const FAMILIES = {
  assault_count: 'ASSAULT',
  self_harm_count: 'SELF_HARM',
  finds_count: 'FIND',
  disorder_count: 'DISORDER',
  drugs_count: 'DRUGS',
  misc_count: 'MISCELLANEOUS',
} as const

export const PRISONER_REPORTS: readonly Report[] = [
  {
    name: 'report_prisoner_summary',
    doc: 'Each prisoner’s involvements by type family; a prisoner with two parts in one report counts twice, as defined.',
    sql: `
      SELECT prisoner, ${Object.entries(FAMILIES)
        .map(([name, family]) => `count(*) FILTER (type_family = '${family}') AS ${name}`)
        .join(', ')}, count(*) AS total_incidents
      FROM (${INVOLVED}) GROUP BY prisoner`,
    published: null,
  },
  {
    name: 'report_prisoner_incidents_per_month',
    doc: 'INC0005: the reports that a prisoner is part of, by month of London time, type family and location.',
    sql: `
      SELECT ${period('month')} AS month_year, CAST(min(incident_date_and_time_local) AS DATE) AS min_date,
        CAST(max(incident_date_and_time_local) AS DATE) AS max_date, prisoner, type_family AS type, location,
        count(DISTINCT id) AS num_of_incidents
      FROM (${INVOLVED}) WHERE location IS NOT NULL GROUP BY ${period('month')}, prisoner, type_family, location`,
    published: null,
  },
]
