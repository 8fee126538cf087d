/** Reports that count incidents: by place, by type, by status. */
import { period, REPORTED, TRACKED, type Report } from './analytics-report.ts'

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] as const

/** Reports that the definitions count, each with its family's name. */
const COUNTED = `
  SELECT r.*, f.description AS type_description FROM current_report r LEFT JOIN report_type_family f ON f.code = r.type_family
  WHERE r.${REPORTED} AND location IS NOT NULL`

function byLocation(unit: 'day' | 'week' | 'month', published: Report['published']): Report {
  return {
    name: `report_incidents_by_location_per_${unit}`,
    doc: `Incidents by location and type family, each ${unit} of London time; replaces INC0001, INC0006, HQ0005 and HQ0006.`,
    sql: `
      SELECT ${period(unit)} AS start_date, CAST(min(incident_date_and_time_local) AS DATE) AS min_date,
        CAST(max(incident_date_and_time_local) AS DATE) AS max_date, location, type_family AS type, type_description,
        count(*) AS num_of_incidents
      FROM (${COUNTED}) GROUP BY ${period(unit)}, location, type_family, type_description`,
    published,
  }
}

export const COUNT_REPORTS: readonly Report[] = [
  // Days and weeks beside months would give a suppressed month's count away.
  byLocation('day', null),
  byLocation('week', null),
  byLocation('month', { counts: ['num_of_incidents'] }),
  {
    name: 'report_incidents_by_establishment',
    doc: 'INC0001: incidents by establishment and type, all dates; between two dates: report_incidents_by_establishment_between.',
    sql: `
      SELECT location AS establishment, type_family AS type, type_description, count(*) AS num_of_incidents
      FROM (${COUNTED}) GROUP BY location, type_family, type_description`,
    published: null,
  },
  {
    name: 'report_incidents_by_type_and_month',
    doc: 'INC0006: incidents by type, a column for each month of the year.',
    sql: `
      SELECT year(incident_date_and_time_local) AS year, type_family AS type, type_description,
        ${MONTHS.map((month, i) => `count(*) FILTER (month(incident_date_and_time_local) = ${i + 1}) AS ${month}`).join(', ')},
        count(*) AS total
      FROM (${COUNTED}) GROUP BY 1, 2, 3`,
    published: null,
  },
  {
    name: 'report_incidents_by_type_and_establishment',
    doc: 'INC0007: incidents by type and establishment, with totals where type, establishment or both are null.',
    sql: `
      SELECT type_family AS type, location AS establishment, count(*) AS num_of_incidents
      FROM (${COUNTED}) GROUP BY GROUPING SETS ((type_family, location), (type_family), (location), ())`,
    published: null,
  },
  {
    name: 'report_status_tracker',
    doc: 'INC0022, the DARU tracker: incidents by location, family and status in its six grouping sets; drafts count.',
    sql: `
      SELECT location, type_family AS incident_code, f.description AS incident_type, status AS status_code, count(*) AS total
      FROM current_report r LEFT JOIN report_type_family f ON f.code = r.type_family
      WHERE r.${TRACKED} AND location IS NOT NULL
      GROUP BY GROUPING SETS (
        (location, type_family, f.description, status), (location, type_family, f.description), (location, status),
        (location), (type_family, f.description), (status))`,
    published: {
      counts: ['total'],
      // A subtotal less its parts would give a suppressed part away.
      where: 'location IS NOT NULL AND incident_code IS NOT NULL AND status_code IS NOT NULL',
    },
  },
]

/** Table macros: what the definitions ask dates for. Both days count. */
export const COUNT_MACROS = `
  CREATE MACRO report_incidents_by_establishment_between(first_day, last_day) AS TABLE
    SELECT location AS establishment, type_family AS type, type_description, count(*) AS num_of_incidents
    FROM (${COUNTED})
    WHERE CAST(incident_date_and_time_local AS DATE) BETWEEN first_day AND last_day
    GROUP BY location, type_family, type_description`
