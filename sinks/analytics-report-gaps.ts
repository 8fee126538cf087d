/** What the definitions of the report tables ask for and incident reports do not hold: left out or null, never made up. */
export const REPORT_GAPS: readonly (readonly [report: string, missing: string, why: string])[] = [
  ['every report', 'location_name', 'The prison register’s; join it by location.'],
  ['every report', 'region, area', 'The agency register’s; join it by location.'],
  [
    'every report',
    'only registered prisons',
    'Whether a location is a prison or a PECS region is the register’s to say.',
  ],
  ['every report', 'prisoner number and names', 'Personal: analytics has a pseudonym, which joins within this file.'],
  ['every report', 'title, description, comments', 'Free text: analytics has its length.'],
  [
    'report_prisoner_summary',
    'location, cell_location, active bookings only',
    'The booking’s, which no incident report holds.',
  ],
  [
    'report_self_harm',
    'materials_used, other_method, additional_comment',
    'Labels with free text; answers are in current_response.',
  ],
  [
    'report_performance_hub_assaults',
    'unit, age, ethnic code',
    'The offender record’s; join it where number and pseudonym may meet.',
  ],
  [
    'report_serious_assault_detail, report_serious_assaults_per_month',
    'spitting by somebody known to be infectious (ASSAULT_5)',
    'The definition asks that one answer belong to two questions, whether the assailant is known to be infectious and whether saliva hit the victim: no answer does, so its report counts none for this reason, and nor do these.',
  ],
  ['report_safety_in_custody_…', 'male and female establishments', 'The prison register’s; join it by location.'],
  [
    'report_safety_in_custody_…',
    'self_harm_outside_hospital as published',
    'Counted by the outcome SEEN_OUTSIDE_HOSP; the bulletin does not say by which answer it counts.',
  ],
  [
    'report_safety_in_custody_…',
    'rates per 1,000',
    'Null unless population.csv in the analytics directory has the location and month.',
  ],
  [
    'report_safety_in_custody_…',
    'serious assaults of types other than ASSAULT_1 and ASSAULT_5',
    'The definition has no rule for them.',
  ],
]
