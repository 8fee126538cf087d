/**
 * Which source columns each unified field is made of. A field must be at least as protected in every output as each of
 * these columns, so that no rule carries a value past the policy (violations.ts).
 */
import type { Entity } from '../../core/incident.ts'
import { REFERENCE_CODE } from './lineage-codes.ts'
import type { Fields } from './lineage-columns.ts'
import { PRISONER_INVOLVEMENT, STAFF_INVOLVEMENT } from './lineage-people.ts'
import { QUESTION, RESPONSE } from './lineage-questions.ts'
import { CORRECTION_REQUEST, DESCRIPTION_ADDENDUM, REPORT, STATUS_CHANGE, TYPE_CHANGE } from './lineage-report.ts'

/** Per entity and field: `schema.table.column`; none where the rules write a constant. */
export const LINEAGE: Readonly<Record<Entity, Fields>> = {
  Report: REPORT,
  PrisonerInvolvement: PRISONER_INVOLVEMENT,
  StaffInvolvement: STAFF_INVOLVEMENT,
  Question: QUESTION,
  Response: RESPONSE,
  StatusChange: STATUS_CHANGE,
  TypeChange: TYPE_CHANGE,
  CorrectionRequest: CORRECTION_REQUEST,
  DescriptionAddendum: DESCRIPTION_ADDENDUM,
  ReferenceCode: REFERENCE_CODE,
}

/** Fields that are less protected than what they are made of, each with the reason why that is safe. */
export const DECLASSIFIED: Readonly<Partial<Record<Entity, Readonly<Record<string, string>>>>> = {
  Report: { placeholders: 'One bit that says only that a fixed word stood in for an absent value.' },
  DescriptionAddendum: {
    id: 'Of the details it holds only how many additions there are.',
    sequence: 'Of the details it holds only how many additions there are.',
    createdAt: 'Only what stands in the details as date and time, in a fixed form, gets here.',
    createdAtLocal: 'Only what stands in the details as date and time, in a fixed form, gets here.',
  },
}
