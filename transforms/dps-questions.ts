/** The new model's questions and responses: those of a report's present type, and those of its earlier ones. */
import type { EntityRow } from '../core/incident.ts'
import { integer, moment, optionalDate, optionalText, text } from './cells.ts'
import type { Cells } from './cells.ts'
import { dpsChild } from './child.ts'
import { rowId } from './identity.ts'
import { answerCode, username } from './placeholders.ts'
import { upsert, type Rule } from './rule.ts'

const ID = ['id'] as const

export const DPS_QUESTION_RULES: readonly Rule[] = [
  { table: 'public.question', key: ID, shapedBy: null, map: question },
  { table: 'public.response', key: ID, shapedBy: null, map: response },
  { table: 'public.historical_question', key: ID, shapedBy: null, map: earlierQuestion },
  { table: 'public.historical_response', key: ID, shapedBy: null, map: earlierResponse },
]

function question(source: Cells): EntityRow[] {
  return [
    upsert('Question', {
      ...dpsChild(source, 'public.question'),
      reportId: text(source, 'report_id'),
      ...asked(source),
      typeChangeId: null,
    }),
  ]
}

function earlierQuestion(source: Cells): EntityRow[] {
  return [
    upsert('Question', {
      ...dpsChild(source, 'public.historical_question'),
      // Its row does not have it; and so a reader who joins a report's questions gets those of its present type.
      reportId: null,
      ...asked(source),
      typeChangeId: rowId('public.history', text(source, 'history_id')),
    }),
  ]
}

function response(source: Cells): EntityRow[] {
  return [
    upsert('Response', {
      ...dpsChild(source, 'public.response'),
      questionId: rowId('public.question', text(source, 'question_id')),
      ...answered(source),
      ofEarlierType: false,
    }),
  ]
}

function earlierResponse(source: Cells): EntityRow[] {
  return [
    upsert('Response', {
      ...dpsChild(source, 'public.historical_response'),
      questionId: rowId('public.historical_question', text(source, 'historical_question_id')),
      ...answered(source),
      ofEarlierType: true,
    }),
  ]
}

function asked(source: Cells) {
  return {
    sequence: integer(source, 'sequence'),
    code: text(source, 'code'),
    question: optionalText(source, 'question'),
    label: optionalText(source, 'label'),
    additionalInformation: optionalText(source, 'additional_information'),
  }
}

function answered(source: Cells) {
  const recorded = moment(source, 'recorded_at')
  return {
    sequence: integer(source, 'sequence'),
    code: answerCode(optionalText(source, 'code')),
    response: optionalText(source, 'response'),
    label: optionalText(source, 'label'),
    responseDate: optionalDate(source, 'response_date'),
    additionalInformation: optionalText(source, 'additional_information'),
    recordedBy: username(optionalText(source, 'recorded_by')),
    recordedAt: recorded.instant,
    recordedAtLocal: recorded.local,
  }
}
