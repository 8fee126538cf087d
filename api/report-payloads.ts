/** What the writing routes of DPS reports take, in the present service's shapes (rule service.writes). */
import { z } from 'zod'
import { LocalDate, LocalTime, storableText } from '../schemas/nomis-payload.ts'
import { DPS_CODES } from '../transforms/codes.ts'
import { code, STATUS_CODES, USER_ACTIONS } from './codes.ts'

const Text = storableText(100_000, 1)
const Name = storableText(255, 1)
const Code = storableText(60, 1)
const Username = storableText(120, 3)
const Type = code('type', DPS_CODES.types.keys())
const locationMessage = 'location must be 2 to 20 capital letters and digits'
const Location = z.string({ error: locationMessage }).regex(/^[A-Z0-9]{2,20}$/, locationMessage)
const referenceMessage = 'originalReportReference must be 1 to 25 digits'

export const CreateReport = z.object({
  type: Type,
  incidentDateAndTime: LocalTime,
  location: Location,
  title: storableText(255, 5),
  description: Text,
})

export const UpdateReport = z.object({
  incidentDateAndTime: LocalTime.nullish(),
  location: Location.nullish(),
  title: storableText(255, 5).nullish(),
  description: Text.nullish(),
  staffInvolvementDone: z.boolean().nullish(),
  prisonerInvolvementDone: z.boolean().nullish(),
  duplicatedReportId: z.guid({ error: 'duplicatedReportId must be a UUID' }).nullish(),
})
export type UpdateReport = z.infer<typeof UpdateReport>

const Correction = z.object({
  descriptionOfChange: Text,
  location: Location.nullish(),
  userAction: code('userAction', USER_ACTIONS).nullish(),
  originalReportReference: z
    .string()
    .regex(/^\d{1,25}$/, referenceMessage)
    .nullish(),
  userType: code('userType', ['REPORTING_OFFICER', 'DATA_WARDEN']).nullish(),
})

export const ChangeStatus = z.object({
  newStatus: code('newStatus', STATUS_CODES),
  correctionRequest: Correction.nullish(),
})
export type ChangeStatus = z.infer<typeof ChangeStatus>

export const ChangeType = z.object({ newType: Type })

const response = z.object({
  code: Code,
  response: Text,
  label: Text.nullish(),
  responseDate: LocalDate.nullish(),
  additionalInformation: Text.nullish(),
})

const question = z.object({
  code: Code,
  question: Text,
  label: Text.nullish(),
  additionalInformation: Text.nullish(),
  responses: z.array(response).min(1, 'a question needs a response').max(500, 'a question has at most 500 responses'),
})

export const PutQuestions = z
  .array(question)
  .min(1, 'at least one question is needed')
  .max(500, 'at most 500 questions at a time')
  .refine(
    (questions) => new Set(questions.map((each) => each.code)).size === questions.length,
    'a question code stands twice',
  )
export type PutQuestions = z.infer<typeof PutQuestions>

export const QuestionCodes = z.object({
  code: z.preprocess((given) => [given ?? []].flat(), z.array(Code).min(1, 'code must be given')),
})

const numberMessage = 'prisonerNumber must be like A1234BC'
const Prisoner = z.object({
  prisonerNumber: z.string({ error: numberMessage }).regex(/^[A-Z]\d{4}[A-Z]{2}$/, numberMessage),
  firstName: Name,
  lastName: Name,
  prisonerRole: code('prisonerRole', DPS_CODES.prisonerRoles.keys()),
  outcome: code('outcome', DPS_CODES.outcomes.keys()).nullish(),
  comment: Text.nullish(),
})

const Staff = z.object({
  staffUsername: Username.nullish(),
  firstName: Name,
  lastName: Name,
  staffRole: code('staffRole', DPS_CODES.staffRoles.keys()),
  comment: Text.nullish(),
})

const Addendum = z.object({
  createdBy: Username.nullish(),
  createdAt: LocalTime.nullish(),
  firstName: Name,
  lastName: Name,
  text: Text,
})

/** What belongs to a report in a list whose members are added, changed and removed by their place in it. */
export interface Part {
  readonly path: string
  readonly table: string
  readonly what: string
  readonly schema: z.ZodObject
  /** Columns by property. */
  readonly columns: Readonly<Record<string, string>>
}

export const PARTS: readonly Part[] = [
  {
    path: 'prisoners-involved',
    table: 'prisoner_involvement',
    what: 'PRISONER_INVOLVED',
    schema: Prisoner,
    columns: {
      prisonerNumber: 'prisoner_number',
      firstName: 'first_name',
      lastName: 'last_name',
      prisonerRole: 'prisoner_role',
      outcome: 'outcome',
      comment: 'comment',
    },
  },
  {
    path: 'staff-involved',
    table: 'staff_involvement',
    what: 'STAFF_INVOLVED',
    schema: Staff,
    columns: {
      staffUsername: 'staff_username',
      firstName: 'first_name',
      lastName: 'last_name',
      staffRole: 'staff_role',
      comment: 'comment',
    },
  },
  {
    path: 'description-addendums',
    table: 'description_addendum',
    what: 'DESCRIPTION_ADDENDUM',
    schema: Addendum,
    columns: {
      createdBy: 'created_by',
      createdAt: 'created_at',
      firstName: 'first_name',
      lastName: 'last_name',
      text: 'text',
    },
  },
  {
    path: 'correction-requests',
    table: 'correction_request',
    what: 'CORRECTION_REQUEST',
    schema: Correction,
    columns: {
      descriptionOfChange: 'description_of_change',
      correctionRequestedBy: 'correction_requested_by',
      correctionRequestedAt: 'correction_requested_at',
      location: 'location',
      userAction: 'user_action',
      originalReportReference: 'original_report_reference',
      userType: 'user_type',
    },
  },
]
