/** The generator's codes and those of the mapping were written down apart; here they are held against each other. */
import { expect, test } from 'vitest'
import { DPS_CODES, NOMIS_CODES } from '../../transforms/codes.ts'
import {
  COPIED_STATUSES,
  DPS_STATUSES,
  NOMIS_STATUSES,
  OUTCOMES,
  PRISONER_ROLES,
  STAFF_ROLES,
  TRANSITIONS,
  TYPES,
  UNKNOWN,
} from '../../workload/codes.ts'
import { QUESTION_SETS } from '../../workload/questions.ts'

test('each pair of codes is one that the mapping makes', () => {
  expect(TYPES.filter(([dps, nomis]) => NOMIS_CODES.types.get(nomis)?.type !== dps)).toEqual([])
  expect(PRISONER_ROLES.filter(([dps, nomis]) => NOMIS_CODES.prisonerRoles.get(nomis) !== dps)).toEqual([])
  expect(OUTCOMES.filter(([dps, nomis]) => NOMIS_CODES.outcomes.get(nomis) !== dps)).toEqual([])
  expect(STAFF_ROLES.filter(([dps, nomis]) => NOMIS_CODES.staffRoles.get(nomis) !== dps)).toEqual([])
  expect(NOMIS_CODES.staffRoles.get('INV')).toBe('ACTIVELY_INVOLVED')
})

test('every code that the mapping knows is generated', () => {
  expect(NOMIS_CODES.types.size).toBe(TYPES.length)
  expect(NOMIS_CODES.prisonerRoles.size).toBe(PRISONER_ROLES.length)
  expect(NOMIS_CODES.outcomes.size).toBe(OUTCOMES.length)
  expect(NOMIS_CODES.staffRoles.size).toBe(STAFF_ROLES.length + 1)
  expect(new Set(NOMIS_CODES.statuses.keys())).toEqual(new Set(NOMIS_STATUSES))
  expect(new Set(DPS_CODES.statuses.keys())).toEqual(new Set(DPS_STATUSES))
})

test('a copy in NOMIS never has a status that means something else than its report’s, but for DUP (rule nomis.write-back)', () => {
  const changed = Object.entries(COPIED_STATUSES).filter(
    ([dps, nomis]) => NOMIS_CODES.statuses.get(nomis)?.status !== dps,
  )
  expect(changed).toEqual([['NOT_REPORTABLE', 'DUP']])
})

test('the unknown codes are unknown', () => {
  expect(NOMIS_CODES.prisonerRoles.has(UNKNOWN.prisonerRole.nomis)).toBe(false)
  expect(DPS_CODES.prisonerRoles.has(UNKNOWN.prisonerRole.dps)).toBe(false)
  expect(NOMIS_CODES.statuses.has(UNKNOWN.status.nomis)).toBe(false)
  expect(DPS_CODES.statuses.has(UNKNOWN.status.dps)).toBe(false)
})

test('transitions lead from status to status, and every status can be reached and left', () => {
  const from = new Set(TRANSITIONS.map((transition) => transition.from))
  const to = new Set(TRANSITIONS.map((transition) => transition.to))
  expect(from).toEqual(new Set(DPS_STATUSES))
  expect(to).toEqual(new Set(DPS_STATUSES))
})

test('no two questions and no two answers of different types share an id, and texts fit NOMIS (rule nomis.tables)', () => {
  const questions = QUESTION_SETS.flatMap((set) => set.questions)
  const answers = questions.flatMap((question) => question.answers)
  expect(new Set(questions.map((question) => question.id)).size).toBe(questions.length)
  expect(new Set(answers.map((answer) => answer.id)).size).toBe(answers.length)
  expect(Math.max(...questions.map((question) => question.text.length))).toBeLessThanOrEqual(120)
  expect(Math.max(...answers.map((answer) => answer.text.length))).toBeLessThanOrEqual(80)
})
