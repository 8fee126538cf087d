/** Which source columns the fields of the people involved are made of: a part of lineage.ts. */
import { columns, identity, type Fields } from './lineage-columns.ts'

export const PRISONER_INVOLVEMENT: Fields = {
  ...identity('public.prisoner_involvement.id', ...party('incident_case_id', 'party_seq')),
  systemOfRecord: [],
  reportId: ['public.prisoner_involvement.report_id', ...party('incident_case_id')],
  sequence: ['public.prisoner_involvement.sequence', ...party('party_seq')],
  prisonerNumber: ['public.prisoner_involvement.prisoner_number', ...party('offender_no')],
  firstName: ['public.prisoner_involvement.first_name', ...party('first_name')],
  lastName: ['public.prisoner_involvement.last_name', ...party('last_name')],
  prisonerRole: ['public.prisoner_involvement.prisoner_role', ...party('participation_role')],
  prisonerRoleRaw: ['public.prisoner_involvement.prisoner_role', ...party('participation_role')],
  outcome: ['public.prisoner_involvement.outcome', ...party('outcome_code')],
  outcomeRaw: ['public.prisoner_involvement.outcome', ...party('outcome_code')],
  comment: ['public.prisoner_involvement.comment', ...party('comment_text')],
}

export const STAFF_INVOLVEMENT: Fields = {
  ...identity('public.staff_involvement.id', ...party('incident_case_id', 'party_seq')),
  systemOfRecord: [],
  reportId: ['public.staff_involvement.report_id', ...party('incident_case_id')],
  sequence: ['public.staff_involvement.sequence', ...party('party_seq')],
  staffUsername: ['public.staff_involvement.staff_username', ...party('staff_username')],
  firstName: ['public.staff_involvement.first_name', ...party('first_name')],
  lastName: ['public.staff_involvement.last_name', ...party('last_name')],
  staffRole: ['public.staff_involvement.staff_role', ...party('participation_role')],
  staffRoleRaw: ['public.staff_involvement.staff_role', ...party('participation_role')],
  comment: ['public.staff_involvement.comment', ...party('comment_text')],
}

function party(...names: readonly string[]): string[] {
  return columns('nomis.incident_case_parties', ...names)
}
