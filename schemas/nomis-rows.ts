/** An incident of NOMIS as rows of the legacy tables: what the upsert writes, and what a comparison expects to find. */
import type { NomisReport } from './nomis-payload.ts'

type Row = Readonly<Record<string, string | number | null>>

export interface NomisHistoryRows {
  readonly history: Row
  /** Without incident_questionnaire_id, which the database gives. */
  readonly questions: readonly Row[]
  readonly responses: readonly Row[]
}

export interface NomisRows {
  readonly incident: Row
  readonly parties: readonly Row[]
  readonly questions: readonly Row[]
  readonly responses: readonly Row[]
  readonly requirements: readonly Row[]
  readonly histories: readonly NomisHistoryRows[]
}

export function nomisRows(report: NomisReport): NomisRows {
  const id = report.incidentId
  return {
    incident: {
      incident_case_id: id,
      reported_staff_id: report.reportingStaff.staffId,
      incident_date: midnight(report.incidentDateTime),
      incident_time: seconds(report.incidentDateTime),
      incident_status: report.status.code,
      response_locked_flag: report.lockedResponse ? 'Y' : 'N',
      incident_details: report.description ?? null,
      report_date: midnight(report.reportedDateTime),
      report_time: seconds(report.reportedDateTime),
      agy_loc_id: report.prison.code,
      incident_title: report.title ?? null,
      incident_type: report.type,
      questionnaire_id: report.questionnaireId,
      follow_up_date: day(report.followUpDate),
      staff_username: report.reportingStaff.username,
      ...stamps(report),
    },
    parties: [
      ...report.staffParties.map((party) => ({
        incident_case_id: id,
        party_seq: party.sequence,
        participation_role: party.role.code,
        staff_id: party.staff.staffId,
        comment_text: party.comment ?? null,
        outcome_code: null,
        offender_no: null,
        staff_username: party.staff.username,
        first_name: party.staff.firstName,
        last_name: party.staff.lastName,
        ...stamps(party),
      })),
      ...report.offenderParties.map((party) => ({
        incident_case_id: id,
        party_seq: party.sequence,
        participation_role: party.role.code,
        staff_id: null,
        comment_text: party.comment ?? null,
        outcome_code: party.outcome?.code ?? null,
        offender_no: party.offender.offenderNo,
        staff_username: null,
        first_name: party.offender.firstName,
        last_name: party.offender.lastName,
        ...stamps(party),
      })),
    ],
    questions: report.questions.map((question) => ({
      incident_case_id: id,
      question_seq: question.sequence,
      questionnaire_que_id: question.questionId,
      question: question.question,
      ...stamps(question),
    })),
    responses: report.questions.flatMap((question) =>
      question.answers.map((answer) => ({
        incident_case_id: id,
        question_seq: question.sequence,
        response_seq: answer.sequence,
        ...answered(answer),
        ...stamps(answer),
      })),
    ),
    requirements: report.requirements.map((requirement) => ({
      incident_case_id: id,
      requirement_seq: requirement.sequence,
      record_staff_id: requirement.staff.staffId,
      record_date: seconds(requirement.recordedDate),
      comment_text: requirement.comment ?? null,
      agy_loc_id: requirement.prisonId,
      recorded_by: requirement.staff.username,
      ...stamps(requirement),
    })),
    histories: report.history.map((history) => {
      const stamp = stamps(history)
      return {
        history: {
          incident_case_id: id,
          questionnaire_id: history.questionnaireId,
          change_date: seconds(history.incidentChangeDateTime ?? history.createDateTime),
          change_staff_id: history.incidentChangeStaff.staffId,
          type: history.type,
          staff_username: history.incidentChangeStaff.username,
          ...stamp,
        },
        questions: history.questions.map((question) => ({
          question_seq: question.sequence,
          questionnaire_que_id: question.questionId,
          question: question.question,
          ...stamp,
        })),
        responses: history.questions.flatMap((question) =>
          question.answers.map((answer) => ({
            question_seq: question.sequence,
            response_seq: answer.responseSequence,
            ...answered(answer),
            ...stamp,
          })),
        ),
      }
    }),
  }
}

type Answer = NomisReport['questions'][number]['answers'][number]

function answered(answer: Omit<Answer, 'sequence' | keyof Stamped>) {
  return {
    response_date: day(answer.responseDate),
    response_comment_text: answer.comment ?? null,
    record_staff_id: answer.recordingStaff.staffId,
    questionnaire_ans_id: answer.questionResponseId ?? null,
    answer: answer.answer ?? null,
    recorded_by: answer.recordingStaff.username,
  }
}

interface Stamped {
  readonly createDateTime: string
  readonly createdBy: string
  readonly lastModifiedDateTime?: string | null | undefined
  readonly lastModifiedBy?: string | null | undefined
}

function stamps({ createDateTime, createdBy, lastModifiedDateTime, lastModifiedBy }: Stamped) {
  return {
    create_datetime: micros(createDateTime),
    create_user_id: createdBy,
    modify_datetime: lastModifiedDateTime == null ? null : micros(lastModifiedDateTime),
    modify_user_id: lastModifiedBy ?? null,
  }
}

/** timestamp(0) would round: 23:59:59.6 is then the next day's, whose date stands in another column. */
function seconds(time: string): string {
  return time.length === 16 ? `${time}:00` : time.slice(0, 19)
}

function micros(time: string): string {
  return time.length === 16
    ? `${time}:00`
    : time.slice(0, 26).replace(/\.?0*$/, (zeros) => (time.includes('.') ? '' : zeros))
}

function midnight(time: string): string {
  return `${time.slice(0, 10)}T00:00:00`
}

function day(date: string | null | undefined): string | null {
  return date == null ? null : `${date}T00:00:00`
}
