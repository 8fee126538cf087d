import { describe, expect, test } from 'vitest'
import {
  addMonths,
  cutOffOf,
  dripFeedVerdict,
  editVerdict,
  isCutOff,
  isEditable,
  isOpenInNomis,
  refusedTransition,
  reportedIn,
  rolloutOf,
  type DripFeed,
  type Rollout,
} from '../../api/rules.ts'

const rollout = (prison: string, type: string, dpsFrom = '2026-01-01', cutOffMonths = 12): Rollout => ({
  prison,
  type,
  dpsFrom,
  cutOffMonths,
})

describe('where a prison reports a type', () => {
  const all = [
    rollout('*ALL*', '*ALL*', '2026-04-04'),
    rollout('*ALL*', 'FIRE_1', '2026-03-03'),
    rollout('MDI', '*ALL*', '2026-02-02'),
    rollout('MDI', 'FIRE_1', '2026-01-01'),
  ]
  test.for<[prison: string, type: string, from: string]>([
    ['MDI', 'FIRE_1', '2026-01-01'],
    ['MDI', 'BOMB_1', '2026-02-02'],
    ['LEI', 'FIRE_1', '2026-03-03'],
    ['LEI', 'BOMB_1', '2026-04-04'],
  ])('the most particular rollout holds: %s %s from %s', ([prison, type, from]) => {
    const found = rolloutOf(all, prison, type)
    expect(found?.dpsFrom).toBe(from)
    expect([reportedIn(found, from), reportedIn(found, addMonths(from, -1))]).toEqual(['DPS', 'NOMIS'])
  })

  test('without a rollout it is NOMIS, and there is no cut-off', () => {
    expect([reportedIn(null, '2026-01-01'), cutOffOf(null), isCutOff(null, '9999-12-31')]).toEqual([
      'NOMIS',
      null,
      false,
    ])
  })
})

test.for<[from: string, months: number, to: string]>([
  ['2025-08-31', 6, '2026-02-28'],
  ['2027-08-31', 6, '2028-02-29'],
  ['2025-12-15', 12, '2026-12-15'],
  ['2025-12-31', 1, '2026-01-31'],
])('%s and %i months is %s', ([from, months, to]) => {
  expect(addMonths(from, months)).toBe(to)
})

describe('the drip-feed', () => {
  const base: DripFeed = {
    rollout: rollout('MDI', 'FIRE_1', '2026-01-01', 6),
    on: '2026-06-30',
    heldStatus: 'AWAN',
    givenStatus: 'AWAN',
    createdOn: '2025-12-31',
    initial: false,
  }
  test.for<[what: string, change: Partial<DripFeed>, verdict: string]>([
    ['open before the cut-off', {}, 'allowed'],
    ['open on its day', { on: '2026-07-01' }, 'cutOff'],
    ['closed by this change', { givenStatus: 'CLOSE' }, 'allowed'],
    ['a duplicate that stays one', { heldStatus: 'DUP', givenStatus: 'DUP' }, 'readOnly'],
    ['opened again', { heldStatus: 'CLOSE', givenStatus: 'PIU' }, 'allowed'],
    ['new, made before the rollout', { heldStatus: null }, 'allowed'],
    ['new, made on its day', { heldStatus: null, createdOn: '2026-01-01' }, 'otherSystem'],
    ['new after the cut-off', { heldStatus: null, on: '2026-07-01' }, 'cutOff'],
    ['the first migration after the cut-off', { heldStatus: null, on: '2026-07-01', initial: true }, 'allowed'],
    ['without a rollout', { rollout: null, on: '2036-01-01' }, 'allowed'],
  ])('%s: %s', ([, change, verdict]) => {
    expect(dripFeedVerdict({ ...base, ...change })).toBe(verdict)
  })

  test('after it the admin role alone edits', () => {
    const edit = { rollout: base.rollout, on: '2026-07-01', admin: true }
    expect(editVerdict(edit)).toBe('allowed')
    expect(editVerdict({ ...edit, admin: false })).toBe('readOnly')
    expect(editVerdict({ ...edit, on: '2026-06-30' })).toBe('readOnly')
    expect(editVerdict({ ...edit, rollout: null })).toBe('readOnly')
  })
})

test('NOMIS works on six of its eight statuses (rule nomis.statuses)', () => {
  const statuses = ['AWAN', 'INAN', 'INREQ', 'INAME', 'PIU', 'IUP', 'CLOSE', 'DUP']
  expect(statuses.filter((status) => !isOpenInNomis(status))).toEqual(['CLOSE', 'DUP'])
})

/** The whole flow (rule status.flow): from, action, to, for each kind of user. */
const FLOW = {
  REPORTING_OFFICER: `
    DRAFT REQUEST_REVIEW AWAITING_REVIEW; DRAFT REQUEST_DUPLICATE AWAITING_REVIEW; DRAFT REQUEST_NOT_REPORTABLE AWAITING_REVIEW
    AWAITING_REVIEW RECALL DRAFT
    NEEDS_UPDATING REQUEST_REVIEW UPDATED; NEEDS_UPDATING REQUEST_DUPLICATE UPDATED; NEEDS_UPDATING REQUEST_NOT_REPORTABLE UPDATED
    UPDATED RECALL NEEDS_UPDATING; CLOSED RECALL REOPENED
    DUPLICATE RECALL NEEDS_UPDATING; NOT_REPORTABLE RECALL NEEDS_UPDATING
    REOPENED REQUEST_REVIEW WAS_CLOSED; REOPENED REQUEST_DUPLICATE WAS_CLOSED; REOPENED REQUEST_NOT_REPORTABLE WAS_CLOSED
    WAS_CLOSED RECALL REOPENED`,
  DATA_WARDEN: `
    AWAITING_REVIEW CLOSE CLOSED; AWAITING_REVIEW REQUEST_CORRECTION NEEDS_UPDATING; AWAITING_REVIEW HOLD ON_HOLD
    AWAITING_REVIEW MARK_DUPLICATE DUPLICATE; AWAITING_REVIEW MARK_NOT_REPORTABLE NOT_REPORTABLE
    ON_HOLD CLOSE CLOSED; ON_HOLD REQUEST_CORRECTION NEEDS_UPDATING; ON_HOLD MARK_DUPLICATE DUPLICATE; ON_HOLD MARK_NOT_REPORTABLE NOT_REPORTABLE
    UPDATED CLOSE CLOSED; UPDATED REQUEST_CORRECTION NEEDS_UPDATING; UPDATED HOLD ON_HOLD
    UPDATED MARK_DUPLICATE DUPLICATE; UPDATED MARK_NOT_REPORTABLE NOT_REPORTABLE
    NEEDS_UPDATING RECALL UPDATED; CLOSED RECALL UPDATED; DUPLICATE RECALL UPDATED; NOT_REPORTABLE RECALL UPDATED
    REOPENED RECALL WAS_CLOSED; WAS_CLOSED CLOSE CLOSED; WAS_CLOSED REQUEST_CORRECTION REOPENED
    WAS_CLOSED MARK_DUPLICATE DUPLICATE; WAS_CLOSED MARK_NOT_REPORTABLE NOT_REPORTABLE`,
  PECS: `
    DRAFT CLOSE CLOSED; CLOSED RECALL REOPENED; DUPLICATE RECALL REOPENED; NOT_REPORTABLE RECALL REOPENED
    REOPENED CLOSE CLOSED; REOPENED MARK_DUPLICATE DUPLICATE; REOPENED MARK_NOT_REPORTABLE NOT_REPORTABLE`,
} as const

const STATUSES = ['DRAFT', 'AWAITING_REVIEW', 'ON_HOLD', 'NEEDS_UPDATING', 'UPDATED', 'CLOSED', 'DUPLICATE', 'NOT_REPORTABLE', 'REOPENED', 'WAS_CLOSED'] // prettier-ignore
const ACTIONS = ['REQUEST_REVIEW', 'REQUEST_DUPLICATE', 'REQUEST_NOT_REPORTABLE', 'REQUEST_CORRECTION', 'RECALL', 'CLOSE', 'MARK_DUPLICATE', 'MARK_NOT_REPORTABLE', 'HOLD'] // prettier-ignore

test.for([
  ['REPORTING_OFFICER', 'MDI', FLOW.REPORTING_OFFICER],
  ['DATA_WARDEN', 'MDI', FLOW.DATA_WARDEN],
  ['DATA_WARDEN', 'NORTH', FLOW.PECS],
  ['REPORTING_OFFICER', 'NORTH', ''],
] as const)('the status flow of %s in %s has exactly these changes', ([by, location, flow]) => {
  const allowed = STATUSES.flatMap((from) =>
    ACTIONS.flatMap((action) =>
      STATUSES.filter((to) => refusedTransition({ location, from, to, action, by, hasOriginal: true }) === null).map(
        (to) => `${from} ${action} ${to}`,
      ),
    ),
  )
  const wanted = flow.split(/[;\n]/).map((each) => each.trim()).filter((each) => each !== '') // prettier-ignore
  expect(allowed.toSorted()).toEqual(wanted.toSorted())
})

test('what is closed, set aside or no report at all is not edited (rule status.standing)', () => {
  expect(STATUSES.filter((status) => !isEditable(status))).toEqual(['ON_HOLD', 'CLOSED', 'DUPLICATE', 'NOT_REPORTABLE'])
})
