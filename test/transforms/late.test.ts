/** What comes late or is rewritten: merges, moved bookings, question texts, codes, duplicates. */
import { describe, expect, test } from 'vitest'
import type { Row, RowChange } from '../../core/change.ts'
import { position } from '../../core/position.ts'
import { projections, pseudonym } from '../../schemas/policy/projection.ts'
import { NOMIS_CODES, STATUSES } from '../../transforms/codes.ts'
import { eventFold } from '../../transforms/event.ts'
import { unify } from '../../transforms/unify.ts'
import { rowChange, sourceRow, type UnifiedTable } from '../support/source-rows.ts'

const KEY = 'a key of the tests'

function updated(table: UnifiedTable, before: Row, after: Row, reference?: string): RowChange {
  const images = { before: sourceRow(table, before), after: sourceRow(table, after) }
  return rowChange(table, reference === undefined ? images : { ...images, reference })
}

function told(...changes: readonly RowChange[]) {
  const fold = eventFold()
  return changes
    .map((change, i) => ({
      ...change,
      position: position(1, 0x1000, i + 1),
      lastInTransaction: i === changes.length - 1,
    }))
    .flatMap((change) => fold.add(change))
    .map(({ additionalInformation: { reportReference }, parts }) => [reportReference, ...parts])
}

describe('a prisoner number that is merged into another (rule dps.merges)', () => {
  const merge = (reference: string, id: number) =>
    updated(
      'public.prisoner_involvement',
      { id, prisoner_number: 'A1111AA', first_name: 'JON' },
      { id, prisoner_number: 'B2222BB', first_name: 'JOHN' },
      reference,
    )

  test('is an upsert of the same row, with number and names as they are now; nothing is deleted', () => {
    const { rows, refusal } = unify(merge('10000001', 7))
    expect(refusal).toBeNull()
    expect(rows).toMatchObject([
      { op: 'upsert', entity: 'PrisonerInvolvement', value: { prisonerNumber: 'B2222BB', firstName: 'JOHN' } },
    ])
    const [inserted] = unify(rowChange('public.prisoner_involvement', { after: merge('1', 7).after })).rows
    expect(rows[0]!.id).toBe(inserted!.id)
  })

  test('is in a governed output the pseudonym of the new number, so that a person’s reports are found together', () => {
    const { fields, project } = projections('unified', KEY).PrisonerInvolvement
    const at = fields.findIndex(({ name }) => name === 'prisonerNumberPseudonym')
    const numbers = [merge('10000001', 7), merge('10000002', 8)].map((each) => project(unify(each).rows[0]!.value)[at])
    expect(new Set(numbers)).toEqual(new Set([pseudonym(KEY, 'B2222BB')]))
  })

  test('across the reports of years is an event for each of them', () => {
    expect(told(merge('10000001', 7), merge('10000002', 8), merge('10000001', 9))).toEqual(
      expect.arrayContaining([
        ['10000001', 'PRISONERS_INVOLVED'],
        ['10000002', 'PRISONERS_INVOLVED'],
      ]),
    )
  })

  test('in NOMIS too, where a booking moves to another prisoner', () => {
    const change = updated('nomis.incident_case_parties', {}, { offender_no: 'C3333CC', offender_book_id: 77 })
    expect(unify(change).rows).toMatchObject([{ op: 'upsert', value: { prisonerNumber: 'C3333CC' } }])
    expect(told(change)).toEqual([['247314', 'PRISONERS_INVOLVED']])
  })
})

describe('a question whose text changes (rule dps.question-text)', () => {
  test('is the same question with its new text; a label that was not refreshed stays as it is', () => {
    const change = updated('public.question', {}, { question: 'WAS THERE A SERIOUS INJURY' })
    expect(unify(change).rows).toMatchObject([
      { op: 'upsert', value: { question: 'WAS THERE A SERIOUS INJURY', label: 'Was a serious injury sustained?' } },
    ])
    expect(told(change)).toEqual([['10000042', 'QUESTIONS']])
  })

  test('in the question set itself changes the code’s description, and no incident', () => {
    const change = updated('nomis.questionnaire_questions', {}, { description: 'DESCRIBE WHAT WAS FOUND' })
    expect(unify(change).rows).toMatchObject([
      { entity: 'ReferenceCode', op: 'upsert', value: { description: 'DESCRIBE WHAT WAS FOUND' } },
    ])
    expect(told(change)).toEqual([])
  })
})

describe('a code whose row comes after its first use, or never (rule dps.late-codes)', () => {
  test('refuses nothing: a report is unified alike before and after', () => {
    const report = rowChange('public.report', { after: sourceRow('public.report') })
    const before = unify(report)
    const code = unify(rowChange('public.constant_type', { after: sourceRow('public.constant_type') }))
    expect(code.rows).toMatchObject([{ entity: 'ReferenceCode', value: { code: 'ASSAULT_5', parentCode: 'ASSAULT' } }])
    expect(unify(report)).toEqual(before)
    expect(before.refusal).toBeNull()
  })

  test('is a row of its own even where no rule knows it yet', () => {
    const after = sourceRow('public.constant_type', { code: 'ASSAULT_6', family_code: 'ASSAULT' })
    expect(unify(rowChange('public.constant_type', { after }))).toMatchObject({
      refusal: null,
      rows: [{ value: { code: 'ASSAULT_6' } }],
    })
    const report = sourceRow('public.report', { type: 'ASSAULT_6' })
    expect(unify(rowChange('public.report', { after: report })).refusal).toMatchObject({ code: 'UNKNOWN_CODE' })
  })

  test('that is no longer active is still read (rule dps.type-periods)', () => {
    const after = sourceRow('public.report', { type: 'FOOD_REFUSAL_1' })
    expect(unify(rowChange('public.report', { after }))).toMatchObject({
      refusal: null,
      rows: [{ value: { type: 'FOOD_REFUSAL_1', typeFamily: 'FOOD_REFUSAL' } }],
    })
  })
})

describe('groupings of status, about which consumers disagree (rule status.groupings)', () => {
  const all = STATUSES.map(({ status }) => status)
  const but = (...left: readonly string[]) => all.filter((status) => !left.includes(status))
  const set = (text: string) => text.split(' ')

  /** What each consumer counts, and how it gets that from a unified report. */
  const CONSUMERS: readonly (readonly [string, readonly string[], (report: Row) => boolean])[] = [
    ['the service’s completed list', set('CLOSED DUPLICATE NOT_REPORTABLE'), (report) => report['completed'] === true],
    [
      'ignore_downstream',
      set('DUPLICATE NOT_REPORTABLE REOPENED WAS_CLOSED'),
      (report) => report['ignoreDownstream'] === true,
    ],
    [
      'the service’s to-do list',
      set('DRAFT NEEDS_UPDATING REOPENED'),
      ({ status }) => set('DRAFT NEEDS_UPDATING REOPENED').includes(status as string),
    ],
    [
      'the service’s submitted list',
      set('AWAITING_REVIEW UPDATED ON_HOLD WAS_CLOSED'),
      ({ status, completed }) =>
        completed === false && !set('DRAFT NEEDS_UPDATING REOPENED').includes(status as string),
    ],
    [
      'DPR’s reports: REOPENED and WAS_CLOSED count',
      but('DUPLICATE', 'NOT_REPORTABLE', 'DRAFT'),
      ({ status }) => !set('DUPLICATE NOT_REPORTABLE DRAFT').includes(status as string),
    ],
    [
      'NOMIS’s reconciliation, open',
      set('AWAITING_REVIEW ON_HOLD NEEDS_UPDATING UPDATED'),
      ({ status, completed, ignoreDownstream }) =>
        completed === false && ignoreDownstream === false && status !== 'DRAFT',
    ],
    [
      'CatTool: no REOPENED',
      set('AWAITING_REVIEW ON_HOLD NEEDS_UPDATING UPDATED CLOSED WAS_CLOSED'),
      ({ status }) => !set('DRAFT DUPLICATE NOT_REPORTABLE REOPENED').includes(status as string),
    ],
  ]

  test.each(CONSUMERS)('%s', (_, counted, counts) => {
    const reports = all.map((status) => {
      const { rows } = unify(rowChange('public.report', { after: sourceRow('public.report', { status }) }))
      return rows[0]!.value
    })
    expect(reports.filter(counts).map(({ status }) => status as string)).toEqual(
      all.filter((status) => counted.includes(status)),
    )
  })

  test('NOMIS’s own: closed are CLOSE and DUP, and what is closed there is completed here', () => {
    const closed = [...NOMIS_CODES.statuses].filter(([, { completed }]) => completed).map(([code]) => code)
    expect(closed).toEqual(['CLOSE', 'DUP'])
  })
})

describe('duplicates (rule dps.duplicates)', () => {
  const ORIGINAL = '019012ab-7c4d-7e5f-8a9b-0c1d2e3f4a00'

  test('status, pointer and the request’s original reference are three facts, each told as the source has it', () => {
    const marked = unify(updated('public.report', {}, { status: 'DUPLICATE' }))
    expect(marked.rows).toMatchObject([{ value: { status: 'DUPLICATE', duplicatedReportId: null } }])
    const pointed = unify(
      updated('public.report', { status: 'DUPLICATE' }, { status: 'DUPLICATE', duplicated_report_id: ORIGINAL }),
    )
    expect(pointed.rows).toMatchObject([{ value: { status: 'DUPLICATE', duplicatedReportId: ORIGINAL } }])
    const request = unify(rowChange('public.correction_request', { after: sourceRow('public.correction_request') }))
    expect(request.rows).toMatchObject([
      { value: { userAction: 'REQUEST_DUPLICATE', originalReportReference: '10000041' } },
    ])
  })

  test('a duplicate that is recalled keeps its pointer until the source takes it away', () => {
    const pointer = { duplicated_report_id: ORIGINAL }
    const recalled = unify(
      updated('public.report', { status: 'DUPLICATE', ...pointer }, { status: 'UPDATED', ...pointer }),
    )
    expect(recalled.rows).toMatchObject([
      { value: { status: 'UPDATED', completed: false, ignoreDownstream: false, duplicatedReportId: ORIGINAL } },
    ])
    const original = unify(updated('public.report', pointer, {})) // the original was deleted: SET NULL
    expect(original.rows).toMatchObject([{ op: 'upsert', value: { duplicatedReportId: null } }])
  })

  test('NOMIS has no pointer', () => {
    const after = sourceRow('nomis.incident_cases', { incident_status: 'DUP' })
    expect(unify(rowChange('nomis.incident_cases', { after })).rows[0]).toMatchObject({
      value: { status: 'DUPLICATE', duplicatedReportId: null },
    })
  })
})
