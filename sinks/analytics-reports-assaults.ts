/** Reports on assaults: which were serious or sexual, whom they were on, and Performance Hub's extract. */
import { answered, period, REPORTED, type Report } from './analytics-report.ts'

/** What the headline question says; a yes to the question on staff turns anything else into an assault on staff. */
const SUBTYPE = `
  CASE WHEN ${answered('staff_assaulted')} THEN 'Prisoner on staff (PoS)' ELSE (
    SELECT max(category) FROM report_rule_met m WHERE m.rule = 'assault_subtype' AND m.report_id = r.id) END`

export const ASSAULT_REPORTS: readonly Report[] = [
  {
    name: 'report_serious_assault_detail',
    doc: 'INC0020: a row for each prisoner in a serious or sexual assault of types ASSAULT_5 and ASSAULT_1.',
    sql: `
      SELECT r.id AS report_id, r.reference AS report_reference, r.incident_date_and_time_local, r.status, r.location,
        ${answered('sexual')} AS sexual, p.id AS prisoner_involvement_id, p.prisoner_number_pseudonym AS prisoner, p.prisoner_role
      FROM current_report r JOIN current_prisoner_involvement p ON p.report_id = r.id
      WHERE r.${REPORTED} AND r.location IS NOT NULL AND ${answered('serious')}`,
    published: null,
  },
  {
    name: 'report_serious_assaults_per_month',
    doc: 'INC0012: serious assaults, the sexual ones among them, by month of London time and location.',
    sql: `
      SELECT ${period('month')} AS start_date, location, count(DISTINCT report_id) AS num_of_serious,
        count(DISTINCT report_id) FILTER (sexual) AS num_of_sexual
      FROM report_serious_assault_detail GROUP BY ${period('month')}, location`,
    published: { counts: ['num_of_serious', 'num_of_sexual'] },
  },
  {
    name: 'report_assaults',
    doc: 'Each assault with whom it was on, where its questions say so, and whether it was serious or sexual.',
    sql: `
      SELECT r.id AS report_id, r.reference AS report_reference, r.source, r.type, r.status, r.location,
        r.incident_date_and_time_local, ${SUBTYPE} AS subtype, ${answered('serious')} AS serious,
        ${answered('sexual')} AS sexual
      FROM current_report r WHERE r.${REPORTED} AND r.type_family = 'ASSAULT'`,
    published: null,
  },
  {
    name: 'report_assault_subtypes_per_month',
    doc: 'Assaults by month of London time, location and whom they were on; null where no question says.',
    sql: `
      SELECT ${period('month')} AS start_date, location, subtype, count(*) AS num_of_incidents
      FROM report_assaults WHERE location IS NOT NULL GROUP BY ${period('month')}, location, subtype`,
    published: { counts: ['num_of_incidents'] },
  },
  {
    name: 'report_performance_hub_assaults',
    doc: 'INC0023, the Performance Hub extract: a row for each prisoner’s part in an assault. Its own rule is NOMIS’s: not DUP.',
    sql: `
      SELECT p.prisoner_number_pseudonym AS prisoner, r.type AS incident_type, r.location AS establishment,
        r.incident_date_and_time_local AS incident_time, hour(r.incident_date_and_time_local) AS incident_hour,
        minute(r.incident_date_and_time_local) AS incident_minutes, r.reference AS incident_case_id, r.source,
        p.prisoner_role AS participation_role
      FROM current_report r JOIN current_prisoner_involvement p ON p.report_id = r.id
      WHERE r.${REPORTED} AND r.type_family = 'ASSAULT' AND p.prisoner_number_pseudonym IS NOT NULL`,
    published: null,
  },
]
