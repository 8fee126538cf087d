/** Two incidents with all that belongs to them: one of DPS, one of NOMIS; and the changes that bring rows to a store. */
import type { EntityRow, IncidentChange } from '../../core/incident.ts'
import {
  changeOf,
  correctionRequest,
  descriptionAddendum,
  dpsReport,
  earlierQuestion,
  earlierResponse,
  markerAt,
  nomisReport,
  prisoner,
  question,
  response,
  staff,
  statusChange,
  typeChange,
} from './unified-rows.ts'

const dps = dpsReport(1, { location: 'MDI', lastUserAction: 'CLOSE', duplicatedReportId: dpsReport(2).id })
const first = question(1, dps)
/** The code of the first once more, with the higher key but the same sequence (rule dps.duplicate-questions). */
const again = question(10, dps, { sequence: 1, code: '44001', label: null, question: 'AGAIN' })

const disorder = typeChange(2, dps)
const barricade = typeChange(1, dps, {
  type: 'BARRICADE_1',
  changedAtLocal: '2024-07-01T13:10:00.000000',
  changedBy: null,
})
const askedThen = earlierQuestion(1, disorder)

export const DPS_INCIDENT = {
  report: dps,
  rows: [
    dps,
    again,
    first,
    response(7, first, { sequence: 1, response: 'NO', label: 'No', responseDate: null }),
    response(6, first, { sequence: 0, additionalInformation: 'Twice', recordedBy: null }),
    staff(4, dps, { staffUsername: null }),
    prisoner(5, dps),
    prisoner(2, dps, { prisonerNumber: 'B1234BC', prisonerRole: 'VICTIM', outcome: null, comment: 'Hurt' }),
    statusChange(2, dps, { status: 'AWAITING_REVIEW', changedAtLocal: '2024-07-01T14:00:00.000000' }),
    statusChange(1, dps, { changedBy: null }),
    disorder,
    barricade,
    askedThen,
    earlierResponse(6, askedThen, { sequence: 0 }),
    correctionRequest(8, dps, {
      sequence: 2,
      descriptionOfChange: null,
      correctionRequestedBy: null,
      userAction: null,
    }),
    correctionRequest(7, dps, { sequence: 0, originalReportReference: '10000002' }),
    descriptionAddendum(9, dps, { sequence: 1, createdBy: null, firstName: null, lastName: null, text: '' }),
    descriptionAddendum(3, dps, { sequence: 0 }),
  ],
}

const nomis = nomisReport(247_314, { location: null, incidentDateAndTimeLocal: '2004-02-29T00:00:00.000000' })
const asked = question(3, nomis, { sequence: 3, question: null, label: null })
const askedLater = question(12, nomis, { sequence: 12, question: 'WERE THERE INJURIES', label: 'WERE THERE INJURIES' })

const changed = typeChange(12, nomis, { typeRaw: 'DISORDER1' })
const askedBefore = earlierQuestion(4, changed, { sequence: 4 })

export const NOMIS_INCIDENT = {
  report: nomis,
  rows: [
    nomis,
    askedLater,
    asked,
    response(31, askedLater, { sequence: 31, recordedAt: null, recordedAtLocal: null }),
    response(30, askedLater, { sequence: 30, response: null, label: null }),
    staff(1, nomis, { sequence: 1 }),
    staff(3, nomis, { sequence: 3, firstName: null, lastName: null }),
    prisoner(2, nomis, { sequence: 2, prisonerNumber: null }),
    statusChange(0, nomis, { status: 'ON_HOLD', statusRaw: 'INAN', changedBy: null, synthetic: true }),
    changed,
    askedBefore,
    earlierQuestion(11, changed, { sequence: 11, code: '45011' }),
    earlierResponse(30, askedBefore, { sequence: 30 }),
    correctionRequest(3, nomis, { userAction: null, userType: null, location: 'NOU' }),
    correctionRequest(1, nomis, { userAction: null, userType: null, location: null }),
    descriptionAddendum(0, nomis, { createdBy: null }),
  ],
}

/** Each row in a transaction of its own, then a marker, in each of these partitions. */
export function changesOf(...partitions: readonly (readonly EntityRow[])[]): IncidentChange[] {
  let lsn = 0x1_0000_0000
  return partitions.flatMap((rows, partition) => [
    ...rows.map((row, offset) => changeOf({ offset, partition, lsn: (lsn += 8) }, row)),
    markerAt({ offset: rows.length, partition, lsn: (lsn += 8) }),
  ])
}
