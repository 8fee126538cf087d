/** The legacy model's questions and responses: those of an incident's present type, and those of its earlier ones. */
import type { EntityRow } from '../core/incident.ts'
import { integer, isAbsent, key, moment, optionalDate, optionalText, text } from './cells.ts'
import type { Cells } from './cells.ts'
import { nomisChild, nomisReportId } from './child.ts'
import { rowId } from './identity.ts'
import { details, username } from './placeholders.ts'
import { upsert, type Rule } from './rule.ts'

const QUESTION = ['incident_case_id', 'question_seq'] as const
const RESPONSE = [...QUESTION, 'response_seq'] as const
const EARLIER_QUESTION = ['incident_questionnaire_id', 'question_seq'] as const
const EARLIER_RESPONSE = [...EARLIER_QUESTION, 'response_seq'] as const

export const NOMIS_QUESTION_RULES: readonly Rule[] = [
  { table: 'nomis.incident_case_questions', key: QUESTION, shapedBy: null, map: question },
  { table: 'nomis.incident_case_responses', key: RESPONSE, shapedBy: null, map: response },
  { table: 'nomis.incident_que_question_hty', key: EARLIER_QUESTION, shapedBy: null, map: earlierQuestion },
  { table: 'nomis.incident_que_response_hty', key: EARLIER_RESPONSE, shapedBy: null, map: earlierResponse },
]

function question(source: Cells): EntityRow[] {
  return [
    upsert('Question', {
      ...nomisChild(source, 'nomis.incident_case_questions', QUESTION),
      reportId: nomisReportId(text(source, 'incident_case_id')),
      ...asked(source),
      typeChangeId: null,
    }),
  ]
}

function earlierQuestion(source: Cells): EntityRow[] {
  return [
    upsert('Question', {
      ...nomisChild(source, 'nomis.incident_que_question_hty', EARLIER_QUESTION),
      // As in the new model: who joins a report's questions gets those of its present type.
      reportId: null,
      ...asked(source),
      typeChangeId: rowId('nomis.incident_questionnaire_hty', text(source, 'incident_questionnaire_id')),
    }),
  ]
}

function response(source: Cells): EntityRow[] {
  return [
    upsert('Response', {
      ...nomisChild(source, 'nomis.incident_case_responses', RESPONSE),
      questionId: rowId('nomis.incident_case_questions', key(source, QUESTION)),
      ...answered(source),
      ofEarlierType: false,
    }),
  ]
}

function earlierResponse(source: Cells): EntityRow[] {
  return [
    upsert('Response', {
      ...nomisChild(source, 'nomis.incident_que_response_hty', EARLIER_RESPONSE),
      questionId: rowId('nomis.incident_que_question_hty', key(source, EARLIER_QUESTION)),
      ...answered(source),
      ofEarlierType: true,
    }),
  ]
}

function asked(source: Cells) {
  const words = optionalText(source, 'question')
  return {
    sequence: integer(source, 'question_seq'),
    code: text(source, 'questionnaire_que_id'),
    question: words,
    // NOMIS has one text for machine and people.
    label: words,
    additionalInformation: null,
  }
}

function answered(source: Cells) {
  const words = optionalText(source, 'answer')
  // The synchronisation replaced this by the report's time, which only its own row knows.
  const recorded = isAbsent(source, 'create_datetime') ? null : moment(source, 'create_datetime')
  return {
    sequence: integer(source, 'response_seq'),
    // A response without an answer stays, though the synchronisation dropped it: its date and comment were recorded,
    // and an incident of 2004 shows what was recorded.
    code: optionalText(source, 'questionnaire_ans_id'),
    response: words,
    label: words,
    responseDate: optionalDate(source, 'response_date'),
    additionalInformation: details(optionalText(source, 'response_comment_text')),
    recordedBy: username(optionalText(source, 'recorded_by')),
    recordedAt: recorded?.instant ?? null,
    recordedAtLocal: recorded?.local ?? null,
  }
}
