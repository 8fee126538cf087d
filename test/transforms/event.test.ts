import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CAPTURED_TABLES, REFERENCE_TABLES } from '../../connectors/postgres/routes.ts'
import type { Change, Row, RowChange } from '../../core/change.ts'
import { PARTS, type IncidentEvent, type Part } from '../../core/event.ts'
import { position } from '../../core/position.ts'
import { nomisReportId } from '../../transforms/child.ts'
import { EVENT_TABLES } from '../../transforms/event-parts.ts'
import { eventFold } from '../../transforms/event.ts'
import { marker, rowChange, sourceRow, type ChangeParts, type UnifiedTable } from '../support/source-rows.ts'

const REPORT = 'public.report'
const CASE = 'nomis.incident_cases'
const PARTY = 'nomis.incident_case_parties'

function inserted(table: UnifiedTable, cells: Row = {}, more: Partial<ChangeParts> = {}): RowChange {
  return rowChange(table, { after: sourceRow(table, cells), ...more })
}

function deleted(table: UnifiedTable, cells: Row = {}, more: Partial<ChangeParts> = {}): RowChange {
  return rowChange(table, { before: sourceRow(table, cells), ...more })
}

function updated(table: UnifiedTable, after: Row, before: Row = {}): RowChange {
  return rowChange(table, { before: sourceRow(table, before), after: sourceRow(table, after) })
}

/** The changes as one transaction, in this order. */
function transaction(changes: readonly RowChange[], lsn = 0x1000): RowChange[] {
  return changes.map((change, i) => ({
    ...change,
    position: position(1, lsn, i + 1),
    lsn: lsn - 100 + i,
    txId: lsn,
    lastInTransaction: i === changes.length - 1,
  }))
}

function eventsOf(changes: readonly Change[]): IncidentEvent[] {
  const fold = eventFold()
  return changes.flatMap((change) => fold.add(change))
}

/** What the events of one transaction say. */
function told(...changes: readonly RowChange[]) {
  return eventsOf(transaction(changes)).map(({ eventType, parts, additionalInformation }) => [
    eventType.replace('incident.report.', ''),
    additionalInformation.whatChanged,
    ...parts,
  ])
}

describe('what an event says', () => {
  test('has the shape of the service’s own, but for the location, and its transaction’s lineage (rule service.events)', () => {
    const changes = transaction([updated(REPORT, { status: 'CLOSED' }), inserted('public.status_history')])
    expect(eventsOf(changes)).toEqual([
      {
        eventType: 'incident.report.amended',
        version: 1,
        occurredAt: '2024-07-15T00:33:20.123456+01:00',
        description: '019012ab-7c4d-7e5f-8a9b-0c1d2e3f4a5b An incident report has been amended',
        additionalInformation: {
          id: '019012ab-7c4d-7e5f-8a9b-0c1d2e3f4a5b',
          reportReference: '10000042',
          source: 'DPS',
          whatChanged: 'STATUS',
        },
        parts: ['STATUS'],
        position: '0001/0000000000001000/00000002',
        lsn: 0x1000 - 99,
        committedAt: 1_721_000_000_123_456,
        txId: 0x1000,
        lastInTransaction: true,
      },
    ])
  })

  test.each([
    ['2024-01-15T09:00:00.000000Z', '2024-01-15T09:00:00.000000+00:00'],
    ['2024-03-31T00:59:59.999999Z', '2024-03-31T00:59:59.999999+00:00'],
    ['2024-03-31T01:00:00.000000Z', '2024-03-31T02:00:00.000000+01:00'],
    ['2024-10-27T00:59:59.000001Z', '2024-10-27T01:59:59.000001+01:00'],
    ['2024-10-27T01:00:00.000000Z', '2024-10-27T01:00:00.000000+00:00'],
  ])('%s is %s in London', (utc, local) => {
    const committedAt = Date.parse(`${utc.slice(0, 19)}Z`) * 1000 + Number(utc.slice(20, 26))
    const [event] = eventsOf([{ ...inserted(REPORT), committedAt }])
    expect(event).toMatchObject({ committedAt, occurredAt: local })
  })

  test.each<[what: string, change: RowChange, id: string | null]>([
    ['its own row', updated(REPORT, { title: 'x' }), '019012ab-7c4d-7e5f-8a9b-0c1d2e3f4a5b'],
    ['a row that names it', deleted('public.staff_involvement'), '019012ab-7c4d-7e5f-8a9b-0c1d2e3f4a5b'],
    ['a NOMIS number', inserted('nomis.incident_que_response_hty'), nomisReportId('247314')],
    ['neither', inserted('public.response'), null],
  ])('the id is known from %s', (_, change, id) => {
    const [event] = eventsOf([change])
    expect(event!.additionalInformation.id).toBe(id)
    expect(event!.additionalInformation.reportReference).toBe(change.reference)
    expect(event!.description).toBe(`${id ?? change.reference} An incident report has been amended`)
  })
})

describe('one event for each incident and transaction', () => {
  test('whatever a transaction does to an incident is one', () => {
    expect(
      told(inserted('public.response', { id: 30 }), deleted('public.response'), inserted('public.question')),
    ).toEqual([['amended', 'QUESTIONS', 'QUESTIONS']])
  })

  test('each incident of a transaction has its own, in the order of their last changes', () => {
    const other = { reference: '10000043' }
    const changes = transaction([
      inserted('public.question'),
      inserted('public.question', {}, other),
      inserted('nomis.incident_case_questions'),
      inserted('public.question'),
    ])
    const events = eventsOf(changes)
    const shown = events.map(
      ({ additionalInformation: { reportReference, source }, position: at, lastInTransaction }) => [
        reportReference,
        source,
        Number(at.slice(-1)),
        lastInTransaction,
      ],
    )
    expect(shown).toEqual([
      ['10000043', 'DPS', 2, false],
      ['247314', 'NOMIS', 3, false],
      ['10000042', 'DPS', 4, true],
    ])
  })

  test('two transactions are two, also where the first does not say that it has ended', () => {
    const [unended, ended] = [transaction([inserted(REPORT)], 10), transaction([updated(REPORT, { title: 'x' })], 20)]
    const fold = eventFold()
    expect(fold.add({ ...unended[0]!, lastInTransaction: false })).toEqual([])
    expect(fold.openSince()).toBe(99)
    expect(fold.add(ended[0]!).map(({ eventType, txId }) => [eventType, txId])).toEqual([
      ['incident.report.created', 10],
      ['incident.report.amended', 20],
    ])
    expect(fold.openSince()).toBeNull()
  })

  test('a marker ends a transaction, a row read outside the stream does not', () => {
    const fold = eventFold()
    expect(fold.add({ ...inserted('public.question'), lastInTransaction: false })).toEqual([])
    expect(fold.add(inserted('public.question', {}, { op: 'r', ordinal: 0 }))).toEqual([])
    expect(fold.add(marker())).toHaveLength(1)
    expect(fold.add(marker())).toEqual([])
  })
})

describe('created, amended or deleted', () => {
  const all = [
    'question',
    'response',
    'history',
    'historical_question',
    'historical_response',
    'status_history',
    'prisoner_involvement',
    'staff_involvement',
    'correction_request',
    'description_addendum',
  ].map((table) => `public.${table}` as UnifiedTable)

  test.each<[what: string, changes: RowChange[], expected: string[][]]>([
    [
      'the root is inserted',
      [inserted(REPORT), inserted('public.status_history')],
      [['created', 'ANYTHING', 'ANYTHING', 'STATUS']],
    ],
    [
      'a NOMIS case is inserted with parties',
      [inserted(CASE), inserted(PARTY)],
      [['created', 'ANYTHING', 'ANYTHING', 'PRISONERS_INVOLVED']],
    ],
    [
      'what was inserted is changed',
      [inserted(REPORT), updated(REPORT, { status: 'CLOSED' })],
      [['created', 'ANYTHING', 'ANYTHING', 'STATUS']],
    ],
    [
      'all goes, one row after the other (rule dps.delete)',
      [...all.map((table) => deleted(table)), deleted(REPORT)],
      [['deleted', 'ANYTHING', ...PARTS.filter((part) => part !== 'BASIC_REPORT')]],
    ],
    [
      'a deleted original leaves a copy behind',
      [
        deleted(REPORT),
        rowChange(REPORT, {
          reference: '10000043',
          before: sourceRow(REPORT, { duplicated_report_id: 'x' }),
          after: sourceRow(REPORT),
        }),
      ],
      [
        ['deleted', 'ANYTHING', 'ANYTHING'],
        ['amended', 'BASIC_REPORT', 'BASIC_REPORT'],
      ],
    ],
    [
      'the root moves to another key',
      [deleted(REPORT), inserted(REPORT, { id: 'another' })],
      [['amended', 'BASIC_REPORT', 'BASIC_REPORT']],
    ],
    [
      'it changes as it moves',
      [deleted(REPORT), inserted(REPORT, { id: 'another', type: 'FIRE_1', status: 'CLOSED' })],
      [['amended', 'TYPE', 'TYPE', 'STATUS', 'BASIC_REPORT']],
    ],
    [
      'a case is written anew',
      [deleted(CASE), deleted(PARTY), inserted(CASE), inserted(PARTY)],
      [['amended', 'PRISONERS_INVOLVED', 'PRISONERS_INVOLVED', 'BASIC_REPORT']],
    ],
    [
      'it is changed, then deleted',
      [updated(REPORT, { title: 'x' }), deleted(REPORT)],
      [['deleted', 'ANYTHING', 'ANYTHING', 'BASIC_REPORT']],
    ],
    [
      'it moves, then is deleted',
      [deleted(REPORT), inserted(REPORT, { id: 'another' }), deleted(REPORT, { id: 'another' })],
      [['deleted', 'ANYTHING', 'ANYTHING', 'BASIC_REPORT']],
    ],
    [
      'it comes and goes within the transaction',
      [inserted(REPORT), inserted('public.question'), deleted('public.question'), deleted(REPORT)],
      [],
    ],
    [
      'its reference changes',
      [deleted(REPORT), inserted(REPORT, { report_reference: '10000043' }, { reference: '10000043' })],
      [
        ['deleted', 'ANYTHING', 'ANYTHING'],
        ['created', 'ANYTHING', 'ANYTHING'],
      ],
    ],
    ['only a child is inserted', [inserted('public.history')], [['amended', 'TYPE', 'TYPE']]],
  ])('%s', (_, changes, expected) => {
    expect(told(...changes)).toEqual(expected)
  })

  test('a report that has moved has its new id', () => {
    const [event] = eventsOf(
      transaction([deleted('public.question'), deleted(REPORT), inserted(REPORT, { id: 'another' })]),
    )
    expect(event!.additionalInformation.id).toBe('another')
  })
})

describe('no event', () => {
  test.each<[what: string, ...changes: Change[]]>([
    [
      'for rows read outside the stream',
      inserted(REPORT, {}, { op: 'r', ordinal: 0 }),
      inserted(CASE, {}, { op: 'r', ordinal: 0 }),
    ],
    ['for a marker', marker()],
    ['for a table of no incident', inserted('public.constant_type'), inserted('nomis.questionnaires')],
    ['for a row whose incident is not known', inserted('public.response', {}, { reference: null })],
    [
      'for a copy of a DPS report in NOMIS',
      inserted(CASE, {}, { reference: '10000042' }),
      inserted(PARTY, {}, { reference: '10000042' }),
    ],
    [
      'for updates that change nothing',
      updated(REPORT, {}),
      updated('public.question', {}),
      updated(CASE, {}),
      updated(PARTY, {}),
    ],
    [
      'for a column that was added since',
      rowChange(REPORT, { before: sourceRow(REPORT), after: { ...sourceRow(REPORT), added: null } }),
    ],
  ])('%s', (_, ...changes) => {
    expect(eventsOf(changes)).toEqual([])
  })

  test('for an update that changes nothing, but for what changes beside it', () => {
    expect(told(updated('public.question', {}), updated('public.staff_involvement', { comment: null }))).toEqual([
      ['amended', 'STAFF_INVOLVED', 'STAFF_INVOLVED'],
    ])
  })
})

describe('what changed', () => {
  test('every table of an incident is told', () => {
    const ofIncidents = CAPTURED_TABLES.filter((table) => !REFERENCE_TABLES.some((each) => each === table))
    expect(EVENT_TABLES.toSorted()).toEqual(ofIncidents.toSorted())
  })

  const mark = { modified_at: '2030-01-01 00:00:00', modified_by: 'X', modified_in: 'NOMIS' }
  const nomisMark = { modify_datetime: null, modify_user_id: 'X', audit_timestamp: null, audit_module_name: 'X' }
  const added = 'User:Green,Al Date:06-JUL-2004 09:00More.'
  const details = String(sourceRow(CASE)['incident_details'])

  test.each<[parts: readonly Part[], change: RowChange]>([
    [['TYPE'], updated(REPORT, { type: 'FIRE_1' })],
    [['STATUS'], updated(REPORT, { status: 'CLOSED' })],
    [['TYPE', 'STATUS', 'BASIC_REPORT'], updated(REPORT, { type: 'FIRE_1', status: 'CLOSED', title: 'x', ...mark })],
    [['BASIC_REPORT'], updated(REPORT, { last_user_action: null })],
    [['BASIC_REPORT'], updated(REPORT, { duplicated_report_id: 'x' })],
    [['BASIC_REPORT'], updated(REPORT, mark)],
    [['STATUS'], updated(REPORT, { status: 'CLOSED', ...mark })],
    [['TYPE'], updated(CASE, { incident_type: 'ASSAULTS3', questionnaire_id: 1, ...nomisMark })],
    [['STATUS'], updated(CASE, { incident_status: 'CLOSE', ...nomisMark })],
    [['BASIC_REPORT'], updated(CASE, nomisMark)],
    [['BASIC_REPORT'], updated(CASE, { follow_up_date: null })],
    [['DESCRIPTION_ADDENDUMS'], updated(CASE, { incident_details: details + added, ...nomisMark })],
    [['DESCRIPTION_ADDENDUMS'], updated(CASE, { incident_details: added }, { incident_details: null })],
    [['BASIC_REPORT'], updated(CASE, { incident_details: `Also: ${details}` })],
    [['BASIC_REPORT'], updated(CASE, { incident_details: '' }, { incident_details: null })],
    [['DESCRIPTION_ADDENDUMS', 'BASIC_REPORT'], updated(CASE, { incident_details: null })],
    [['PRISONERS_INVOLVED'], inserted(PARTY)],
    [['STAFF_INVOLVED'], deleted(PARTY, { staff_id: 5 })],
    [['PRISONERS_INVOLVED', 'STAFF_INVOLVED'], updated(PARTY, { staff_id: 5 })],
    [['STATUS'], inserted('public.status_history')],
    [['TYPE'], inserted('public.history')],
    [['QUESTIONS'], updated('public.question', { label: 'x' })],
    [['QUESTIONS'], deleted('public.response')],
    [['QUESTIONS'], inserted('public.historical_question')],
    [['QUESTIONS'], inserted('public.historical_response')],
    [['PRISONERS_INVOLVED'], updated('public.prisoner_involvement', { outcome: null })],
    [['STAFF_INVOLVED'], deleted('public.staff_involvement')],
    [['CORRECTION_REQUESTS'], inserted('public.correction_request')],
    [['DESCRIPTION_ADDENDUMS'], deleted('public.description_addendum')],
    [['TYPE'], inserted('nomis.incident_questionnaire_hty')],
    [['QUESTIONS'], inserted('nomis.incident_case_questions')],
    [['QUESTIONS'], updated('nomis.incident_case_responses', { answer: 'NO' })],
    [['QUESTIONS'], inserted('nomis.incident_que_question_hty')],
    [['QUESTIONS'], inserted('nomis.incident_que_response_hty')],
    [['CORRECTION_REQUESTS'], deleted('nomis.incident_case_requirements')],
  ])('%j', (parts, change) => {
    expect(told(change)).toEqual([['amended', parts[0], ...parts]])
  })

  test('is one value, by precedence, and all of them in its order, whatever the order of the changes', () => {
    const changes: Readonly<Record<Exclude<Part, 'ANYTHING'>, RowChange>> = {
      TYPE: inserted('public.history'),
      STATUS: inserted('public.status_history'),
      QUESTIONS: inserted('public.response'),
      PRISONERS_INVOLVED: inserted('public.prisoner_involvement'),
      STAFF_INVOLVED: inserted('public.staff_involvement'),
      CORRECTION_REQUESTS: inserted('public.correction_request'),
      DESCRIPTION_ADDENDUMS: inserted('public.description_addendum'),
      BASIC_REPORT: updated(REPORT, { description: 'x' }),
    }
    const names = PARTS.filter((part) => part !== 'ANYTHING')
    fc.assert(
      fc.property(fc.shuffledSubarray(names, { minLength: 1 }), (given) => {
        const parts = names.filter((part) => given.includes(part))
        expect(told(...given.map((part) => changes[part]))).toEqual([['amended', parts[0], ...parts]])
      }),
    )
  })
})
