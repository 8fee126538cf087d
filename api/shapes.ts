/** The shapes that the present incident reporting service answers in, so that its readers can read this API as it is. */
import { z } from 'zod'
import { pageOf } from './page.ts'

const localTime = z.string().describe('London wall time without zone: 2024-07-01T12:34:56.789.')
const sequence = z.int().describe('Order within the parent.')

export const ReportBasic = z
  .object({
    id: z.string().describe('The report’s UUID.'),
    reportReference: z.string().describe('The incident’s number.'),
    type: z.string().describe('A DPS type code, e.g. ASSAULT_5.'),
    incidentDateAndTime: localTime,
    location: z.string().describe('Prison or PECS region; empty where NOMIS holds none.'),
    title: z.string().describe('NO DETAILS GIVEN where the source holds none.'),
    description: z.string().describe('NO DETAILS GIVEN where the source holds none.'),
    reportedBy: z.string().describe('Username; unknown where the source knows none.'),
    reportedAt: localTime,
    status: z.string().describe('A DPS status code, e.g. AWAITING_REVIEW.'),
    createdAt: localTime,
    modifiedAt: localTime,
    modifiedBy: z.string().describe('Username; unknown where the source knows none.'),
    createdInNomis: z.boolean(),
    lastModifiedInNomis: z.boolean(),
    duplicatedReportId: z.string().nullable().describe('The report that this one repeats.'),
    latestUserAction: z.string().nullable(),
    incomplete: z.boolean().describe('True when a part of the incident could not be read; it may be missing or old.'),
  })
  .describe('An incident report.')

export const Response = z.object({
  code: z.string().nullable(),
  response: z.string(),
  label: z.string(),
  sequence,
  responseDate: z.string().nullable().describe('2024-07-01.'),
  additionalInformation: z.string().nullable(),
  recordedBy: z.string(),
  recordedAt: localTime,
})

export const Question = z.object({
  code: z.string(),
  question: z.string(),
  label: z.string(),
  sequence,
  responses: z.array(Response),
  additionalInformation: z.string().nullable(),
})

export const StatusHistory = z.object({
  status: z.string(),
  changedAt: localTime,
  changedBy: z.string(),
  nomisStatus: z.string().nullable().describe('As NOMIS writes it; null for reports of DPS.'),
})

export const StaffInvolvement = z.object({
  sequence,
  staffUsername: z.string().nullable(),
  firstName: z.string(),
  lastName: z.string(),
  staffRole: z.string(),
  comment: z.string().nullable(),
})

export const PrisonerInvolvement = z.object({
  sequence,
  prisonerNumber: z.string().describe('Empty where NOMIS knows only a booking.'),
  firstName: z.string(),
  lastName: z.string(),
  prisonerRole: z.string(),
  outcome: z.string().nullable(),
  comment: z.string().nullable(),
})

export const DescriptionAddendum = z.object({
  sequence,
  createdBy: z.string().describe('Username; INCIDENT_REPORTING_API where the source knows none.'),
  createdAt: localTime,
  firstName: z.string(),
  lastName: z.string(),
  text: z.string(),
})

export const CorrectionRequest = z.object({
  sequence,
  descriptionOfChange: z.string().describe('NO DETAILS GIVEN where the source holds none.'),
  correctionRequestedBy: z.string().describe('Username; unknown where the source knows none.'),
  correctionRequestedAt: localTime,
  location: z.string().nullable(),
  userAction: z.string().nullable(),
  originalReportReference: z.string().nullable(),
  userType: z.string().nullable(),
})

export const IncidentTypeHistory = z.object({
  type: z.string().describe('The type before the change.'),
  changedAt: localTime,
  changedBy: z.string(),
})

export const History = IncidentTypeHistory.extend({
  questions: z.array(Question),
  nomisType: z.string().nullable().describe('As NOMIS writes it; null for reports of DPS.'),
})

export const ReportWithDetails = ReportBasic.extend({
  descriptionAddendums: z.array(DescriptionAddendum),
  questions: z.array(Question),
  history: z.array(History).describe('Earlier types with their questions; empty unless includeHistory.'),
  historyOfStatuses: z.array(StatusHistory),
  incidentTypeHistory: z.array(IncidentTypeHistory),
  staffInvolved: z.array(StaffInvolvement),
  prisonersInvolved: z.array(PrisonerInvolvement),
  correctionRequests: z.array(CorrectionRequest),
  staffInvolvementDone: z.boolean(),
  prisonerInvolvementDone: z.boolean(),
  nomisType: z.string().nullable().describe('As NOMIS writes it; null for reports of DPS.'),
  nomisStatus: z.string().nullable().describe('As NOMIS writes it; null for reports of DPS.'),
}).describe('An incident report with everything that belongs to it.')

export const ReportPage = pageOf(ReportBasic).describe('A page of incident reports.')

export const ReportCounts = z
  .object({
    by: z.array(z.enum(['prison', 'type', 'status', 'month'])),
    total: z.int().describe('Of all groups together.'),
    counts: z.array(
      z.object({
        prison: z.string().optional().describe('Empty where NOMIS holds none.'),
        type: z.string().optional(),
        status: z.string().optional(),
        month: z.string().optional().describe('Of the incident: 2024-07.'),
        count: z.int(),
      }),
    ),
  })
  .describe('How many reports of each group there are; a group without any is not here.')

export const AssaultSummary = z
  .object({
    countOfAssaults: z.int().describe('Reports, whenever the incident was.'),
    countOfRecentSeriousAssaults: z.int(),
    countOfRecentNonSeriousAssaults: z.int(),
    reportIds: z.array(z.string()).describe('Those counted, the newest incident first.'),
    incomplete: z.boolean().describe('True when a part of one of them could not be read; it may be missing or old.'),
  })
  .describe('What a prisoner’s category is reviewed with. Each report counts once.')
