/** A small question set for each incident type, the same for every seed, as both models number it. */
import { TYPES } from './codes.ts'
import { hash } from './random.ts'

export interface QuestionSet {
  /** DPS code. */
  readonly type: string
  /** NOMIS code. */
  readonly code: string
  /** The order among all types, from 0: where a database has no questionnaire of this code, what its id is made from. */
  readonly index: number
  readonly questions: readonly QuestionDefinition[]
}

export interface QuestionDefinition {
  /** QUESTIONNAIRE_QUE_ID; as text the DPS code. */
  readonly id: number
  /** Upper case, as NOMIS shows it and reports match it. */
  readonly text: string
  /** As DPS shows it. */
  readonly label: string
  readonly multiple: boolean
  readonly answers: readonly AnswerDefinition[]
}

export interface AnswerDefinition {
  /** QUESTIONNAIRE_ANS_ID; as text the DPS code. */
  readonly id: number
  readonly text: string
  readonly label: string
  readonly asksDate: boolean
  readonly asksComment: boolean
}

/** An answer that asks for a date ends in `@`, one that asks for a comment in `+`; `*` before a question allows several. */
type Template = readonly [question: string, ...answers: string[]]

const YES_NO = ['Yes', 'No'] as const

const GENERAL: readonly Template[] = [
  ['Were the police informed of the incident', 'Yes@', 'No'],
  ['Is there any media interest in this incident', ...YES_NO],
  ['*Where did the incident take place', 'Cell', 'Wing landing', 'Exercise yard', 'Workshop', 'Reception', 'Other+'],
  ['Was CCTV or body worn video recording available', 'Yes', 'No', 'Not known'],
  ['Has the prison service press office been informed', 'Yes@', 'No'],
  ['Was the area searched afterwards', 'Yes@', 'No'],
  ['*Who was informed', 'Duty governor', 'Orderly officer', 'Healthcare', 'Chaplaincy', 'Independent monitoring board', 'Other+'],
  ['Was force used', ...YES_NO],
  ['Was the incident planned', 'Yes', 'No', 'Not known'],
  ['How was the incident discovered', 'Routine check', 'Intelligence', 'Told by a prisoner', 'Chance', 'Other+'],
  ['Was there any damage to property', 'Yes+', 'No'],
  ['Describe how the incident ended', 'Comment+'],
  ['Did the incident end on the same day', 'Yes', 'No@'],
] // prettier-ignore

const ASSAULT: readonly Template[] = [
  ['Was this a sexual assault', ...YES_NO],
  ['Was a serious injury sustained', ...YES_NO],
  ['Was medical treatment for concussion or internal injuries required', ...YES_NO],
  ['Did injuries result in detention in outside hospital as an in-patient', ...YES_NO],
  ['*What type of weapon was used', 'None', 'Improvised blade', 'Furniture', 'Liquid', 'Not known', 'Other+'],
  ['Was a member of staff assaulted', ...YES_NO],
]

const SELF_HARM: readonly Template[] = [
  ['*What method of self harm was involved', 'Cutting', 'Ligature', 'Ingestion', 'Head banging', 'Other+'],
  ['Was outside hospital attended', 'Yes@', 'No'],
  ['Was an assessment plan open at the time', 'Yes@', 'No'],
]

const FIND: readonly Template[] = [
  ['*What was found', 'Mobile phone', 'Sim card', 'Drugs', 'Weapon', 'Alcohol', 'Tobacco', 'Other+'],
  ['How was the item hidden', 'On the person', 'In the cell', 'In the post', 'Thrown over the wall', 'Other+'],
  ['How many items were found', 'Comment+'],
]

const SPECIFIC: readonly (readonly [prefix: string, templates: readonly Template[]])[] = [
  ['ASSAULT', ASSAULT],
  ['SELF_HARM', SELF_HARM],
  ['FIND', FIND],
  ['MOBILE', FIND],
  ['DRUGS', FIND],
]

/** Types that began in DPS have question ids from 900 001 on. */
const BEGAN_IN_DPS = new Set(['FOOD_REFUSAL_2', 'KEY_OR_LOCK_3', 'TOOL_LOSS_2'])

export const QUESTION_SETS: readonly QuestionSet[] = TYPES.map(([type, code], index) => ({
  type,
  code,
  index,
  questions: questionsOf(type, index),
}))

const SETS_BY_TYPE = new Map(QUESTION_SETS.map((set) => [set.type, set]))

/** The question set of a DPS type; a type that nobody knows has that of MISCELLANEOUS_1. */
export function questionSet(type: string): QuestionSet {
  return SETS_BY_TYPE.get(type) ?? SETS_BY_TYPE.get('MISCELLANEOUS_1')!
}

function questionsOf(type: string, index: number): QuestionDefinition[] {
  const general = type.startsWith('BC_') ? GENERAL.slice(2, 4) : rotated(GENERAL, hash(type)).slice(0, 3 + (index % 8))
  const specific = SPECIFIC.find(([prefix]) => type.startsWith(prefix))?.[1] ?? []
  const first = (BEGAN_IN_DPS.has(type) ? 900_001 : 40_001) + index * 50
  return [...specific, ...general].map((template, i) => definition(template, first + i))
}

function definition([question, ...answers]: Template, id: number): QuestionDefinition {
  const multiple = question.startsWith('*')
  const label = multiple ? question.slice(1) : question
  return {
    id,
    text: label.toUpperCase(),
    label: `${label}?`,
    multiple,
    answers: answers.map((answer, i) => {
      const plain = answer.replace(/[@+]$/, '')
      return {
        id: id * 10 + i,
        text: plain.toUpperCase(),
        label: plain,
        asksDate: answer.endsWith('@'),
        asksComment: answer.endsWith('+'),
      }
    }),
  }
}

function rotated<T>(items: readonly T[], by: number): T[] {
  const start = by % items.length
  return [...items.slice(start), ...items.slice(0, start)]
}
