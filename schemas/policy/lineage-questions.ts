/** Which source columns the fields of questions and responses are made of: a part of lineage.ts. */
import { columns, identity, type Fields } from './lineage-columns.ts'

export const QUESTION: Fields = {
  ...identity(
    'public.question.id',
    'public.historical_question.id',
    ...columns('nomis.incident_case_questions', 'incident_case_id', 'question_seq'),
    ...columns('nomis.incident_que_question_hty', 'incident_questionnaire_id', 'question_seq'),
  ),
  systemOfRecord: [],
  reportId: ['public.question.report_id', 'nomis.incident_case_questions.incident_case_id'],
  sequence: [...dpsQuestions('sequence'), ...nomisQuestions('question_seq')],
  code: [...dpsQuestions('code'), ...nomisQuestions('questionnaire_que_id')],
  question: [...dpsQuestions('question'), ...nomisQuestions('question')],
  label: [...dpsQuestions('label'), ...nomisQuestions('question')],
  additionalInformation: dpsQuestions('additional_information'),
  typeChangeId: ['public.historical_question.history_id', 'nomis.incident_que_question_hty.incident_questionnaire_id'],
}

export const RESPONSE: Fields = {
  ...identity(
    'public.response.id',
    'public.historical_response.id',
    ...columns('nomis.incident_case_responses', 'incident_case_id', 'question_seq', 'response_seq'),
    ...columns('nomis.incident_que_response_hty', 'incident_questionnaire_id', 'question_seq', 'response_seq'),
  ),
  systemOfRecord: [],
  questionId: [
    'public.response.question_id',
    'public.historical_response.historical_question_id',
    ...columns('nomis.incident_case_responses', 'incident_case_id', 'question_seq'),
    ...columns('nomis.incident_que_response_hty', 'incident_questionnaire_id', 'question_seq'),
  ],
  sequence: [...dpsResponses('sequence'), ...nomisResponses('response_seq')],
  code: [...dpsResponses('code'), ...nomisResponses('questionnaire_ans_id')],
  response: [...dpsResponses('response'), ...nomisResponses('answer')],
  label: [...dpsResponses('label'), ...nomisResponses('answer')],
  responseDate: [...dpsResponses('response_date'), ...nomisResponses('response_date')],
  additionalInformation: [...dpsResponses('additional_information'), ...nomisResponses('response_comment_text')],
  recordedBy: [...dpsResponses('recorded_by'), ...nomisResponses('recorded_by')],
  recordedAt: [...dpsResponses('recorded_at'), ...nomisResponses('create_datetime')],
  recordedAtLocal: [...dpsResponses('recorded_at'), ...nomisResponses('create_datetime')],
  ofEarlierType: [],
}

/** The same column of the present type's questions and of the earlier ones'. */
function dpsQuestions(column: string): string[] {
  return [`public.question.${column}`, `public.historical_question.${column}`]
}

function nomisQuestions(column: string): string[] {
  return [`nomis.incident_case_questions.${column}`, `nomis.incident_que_question_hty.${column}`]
}

function dpsResponses(column: string): string[] {
  return [`public.response.${column}`, `public.historical_response.${column}`]
}

function nomisResponses(column: string): string[] {
  return [`nomis.incident_case_responses.${column}`, `nomis.incident_que_response_hty.${column}`]
}
