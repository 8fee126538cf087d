/** Rows whose code no mapping knows: what the dead letters are for. */
import { UNKNOWN } from './codes.ts'
import { createReport } from './dps-patterns.ts'
import { createCase } from './nomis-patterns.ts'
import type { Turn } from './patterns.ts'

/** Adds one such row, each time of another kind; the kinds that need a parent add one when there is none. */
export async function addUnknownCode(turn: Turn, index: number): Promise<void> {
  const { write, world, at, by } = turn
  if (world.cases.length === 0) await createCase(turn)
  if (world.reports.length === 0) await createReport(turn)
  const caseId = world.cases[index % world.cases.length]!
  const report = world.reports[index % world.reports.length]!
  switch (index % 4) {
    case 0:
      await write.write(
        `INSERT INTO nomis.incident_case_parties (incident_case_id, party_seq, participation_role, offender_book_id,
            offender_no, first_name, last_name, create_datetime, create_user_id)
         SELECT $1::bigint, coalesce(max(party_seq), 0) + 1, $2, 1000000001, 'T0000AA', 'Alder', 'Testcase', $3::timestamp, $4
           FROM nomis.incident_case_parties WHERE incident_case_id = $1`,
        [caseId, UNKNOWN.prisonerRole.nomis, at, by],
      )
      return
    case 1:
      await write.write(
        `INSERT INTO public.prisoner_involvement (report_id, prisoner_number, prisoner_role, sequence, first_name, last_name)
         VALUES ($1, 'T0000AA', $2, 99, 'Alder', 'Testcase')`,
        [report, UNKNOWN.prisonerRole.dps],
      )
      return
    case 2:
      await write.write(
        'UPDATE nomis.incident_cases SET incident_status = $2, modify_datetime = $3 WHERE incident_case_id = $1',
        [caseId, UNKNOWN.status.nomis, at],
      )
      return
    default:
      await write.write(
        'INSERT INTO public.status_history (report_id, status, changed_at, changed_by) VALUES ($1, $2, $3, $4)',
        [report, UNKNOWN.status.dps, at, by],
      )
  }
}
