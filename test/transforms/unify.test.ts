/** What each source row becomes, and what a change of it does. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Row, Value } from '../../core/change.ts'
import type { EntityRow } from '../../core/incident.ts'
import { rowId } from '../../transforms/identity.ts'
import { unify, UNIFIED_TABLES } from '../../transforms/unify.ts'
import {
  incidentOf,
  marker,
  rowChange,
  SAMPLED_TABLES,
  sourceRow,
  sourceTable,
  type UnifiedTable,
} from '../support/source-rows.ts'

const REPORT_ID = '019012ab-7c4d-7e5f-8a9b-0c1d2e3f4a5b'
const CASE_ID = rowId('nomis.incident_cases', '247314')
const NOMIS = { reference: '247314', source: 'NOMIS', systemOfRecord: 'NOMIS' }
const DPS = { reference: '10000042', source: 'DPS', systemOfRecord: 'DPS' }

/** The rows of an insert. */
function inserted(table: UnifiedTable, cells: Record<string, Value> = {}): readonly EntityRow[] {
  const { rows, refusal } = unify(rowChange(table, { after: sourceRow(table, cells) }))
  expect(refusal).toBeNull()
  return rows
}

describe('the new model', () => {
  test('a report', () => {
    expect(inserted('public.report')).toEqual([
      {
        entity: 'Report',
        id: REPORT_ID,
        op: 'upsert',
        value: {
          id: REPORT_ID,
          ...DPS,
          sourceTable: 'public.report',
          sourceKey: REPORT_ID,
          createdIn: 'DPS',
          type: 'ASSAULT_5',
          typeFamily: 'ASSAULT',
          typeRaw: 'ASSAULT_5',
          status: 'AWAITING_REVIEW',
          statusRaw: 'AWAITING_REVIEW',
          ignoreDownstream: false,
          completed: false,
          location: 'MDI',
          incidentDateAndTime: '2024-07-01T11:34:56.789000Z',
          incidentDateAndTimeLocal: '2024-07-01T12:34:56.789000',
          reportedAt: '2024-01-15T09:00:00.000000Z',
          reportedAtLocal: '2024-01-15T09:00:00.000000',
          reportedBy: 'USER1_GEN',
          title: 'Assault: Jones A1234BC (Moorland)',
          description: 'A fight in the yard.',
          placeholders: false,
          questionSetId: null,
          createdAt: '2024-01-15T09:00:01.000001Z',
          createdAtLocal: '2024-01-15T09:00:01.000001',
          modifiedAt: '2024-01-16T10:00:00.500000Z',
          modifiedAtLocal: '2024-01-16T10:00:00.500000',
          modifiedBy: 'USER2_GEN',
          staffInvolvementDone: true,
          prisonerInvolvementDone: false,
          duplicatedReportId: null,
          lastUserAction: 'REQUEST_REVIEW',
          responsesLocked: null,
          followUpDate: null,
        },
      },
    ])
  })

  test('a report of NOMIS that was edited in DPS says both (rule dps.systems)', () => {
    const [row] = inserted('public.report', { source: 'NOMIS', modified_in: 'DPS' })
    expect(row!.value).toMatchObject({ source: 'DPS', createdIn: 'NOMIS', systemOfRecord: 'DPS' })
    const [synchronised] = inserted('public.report', { source: 'NOMIS', modified_in: 'NOMIS' })
    expect(synchronised!.value).toMatchObject({ source: 'DPS', createdIn: 'NOMIS', systemOfRecord: 'NOMIS' })
  })

  test('a prisoner', () => {
    const id = rowId('public.prisoner_involvement', '17')
    const value = {
      id,
      ...DPS,
      sourceTable: 'public.prisoner_involvement',
      sourceKey: '17',
      reportId: REPORT_ID,
      sequence: 2,
      prisonerNumber: 'A1234BC',
      firstName: 'John',
      lastName: 'Jones',
      prisonerRole: 'ASSAILANT',
      prisonerRoleRaw: 'ASSAILANT',
      outcome: 'CHARGED_BY_POLICE',
      outcomeRaw: 'CHARGED_BY_POLICE',
      comment: 'Started it.',
    }
    expect(inserted('public.prisoner_involvement')).toEqual([
      { entity: 'PrisonerInvolvement', id, op: 'upsert', value },
    ])
  })

  test('a member of staff', () => {
    const id = rowId('public.staff_involvement', '18')
    const value = {
      id,
      ...DPS,
      sourceTable: 'public.staff_involvement',
      sourceKey: '18',
      reportId: REPORT_ID,
      sequence: 0,
      staffUsername: 'STAFF1_GEN',
      firstName: 'Mary',
      lastName: 'Smith',
      staffRole: 'WITNESS',
      staffRoleRaw: 'WITNESS',
      comment: 'Saw it.',
    }
    expect(inserted('public.staff_involvement')).toEqual([{ entity: 'StaffInvolvement', id, op: 'upsert', value }])
  })

  test('a question keeps its machine text beside its label (rule dps.question-text)', () => {
    const id = rowId('public.question', '19')
    const value = {
      id,
      ...DPS,
      sourceTable: 'public.question',
      sourceKey: '19',
      reportId: REPORT_ID,
      sequence: 1,
      code: '61279',
      question: 'WAS A SERIOUS INJURY SUSTAINED',
      label: 'Was a serious injury sustained?',
      additionalInformation: 'see below',
      typeChangeId: null,
    }
    expect(inserted('public.question')).toEqual([{ entity: 'Question', id, op: 'upsert', value }])
  })

  test('a response names its question by the id that the question has', () => {
    const id = rowId('public.response', '20')
    const value = {
      id,
      ...DPS,
      sourceTable: 'public.response',
      sourceKey: '20',
      questionId: inserted('public.question')[0]!.id,
      sequence: 0,
      code: '218711',
      response: 'YES',
      label: 'Yes',
      responseDate: '2024-01-14',
      additionalInformation: 'broken arm',
      recordedBy: 'USER1_GEN',
      recordedAt: '2024-01-15T09:30:00.000000Z',
      recordedAtLocal: '2024-01-15T09:30:00.000000',
      ofEarlierType: false,
    }
    expect(inserted('public.response')).toEqual([{ entity: 'Response', id, op: 'upsert', value }])
  })

  test('a status that was taken on', () => {
    const id = rowId('public.status_history', '21')
    const value = {
      id,
      ...DPS,
      sourceTable: 'public.status_history',
      sourceKey: '21',
      reportId: REPORT_ID,
      status: 'DRAFT',
      statusRaw: 'DRAFT',
      changedAt: '2024-01-15T09:00:01.000000Z',
      changedAtLocal: '2024-01-15T09:00:01.000000',
      changedBy: 'USER1_GEN',
      synthetic: false,
    }
    expect(inserted('public.status_history')).toEqual([{ entity: 'StatusChange', id, op: 'upsert', value }])
  })

  test('a change of type names the type before (rule dps.type-change)', () => {
    const id = rowId('public.history', '22')
    const value = {
      id,
      ...DPS,
      sourceTable: 'public.history',
      sourceKey: '22',
      reportId: REPORT_ID,
      type: 'DISORDER_2',
      typeFamily: 'DISORDER',
      typeRaw: 'DISORDER_2',
      questionSetId: null,
      changedAt: '2024-01-15T09:20:00.000000Z',
      changedAtLocal: '2024-01-15T09:20:00.000000',
      changedBy: 'USER2_GEN',
    }
    expect(inserted('public.history')).toEqual([{ entity: 'TypeChange', id, op: 'upsert', value }])
  })

  test('a question of an earlier type is a question that names the change of type, and not the report', () => {
    const id = rowId('public.historical_question', '23')
    const value = {
      id,
      ...DPS,
      sourceTable: 'public.historical_question',
      sourceKey: '23',
      reportId: null,
      sequence: 1,
      code: '45001',
      question: 'WAS THIS A DEMONSTRATION',
      label: 'Was this a demonstration?',
      additionalInformation: 'on the yard',
      typeChangeId: inserted('public.history')[0]!.id,
    }
    expect(inserted('public.historical_question')).toEqual([{ entity: 'Question', id, op: 'upsert', value }])
  })

  test('a response of an earlier type names its question and says that it is of an earlier type', () => {
    const id = rowId('public.historical_response', '24')
    const value = {
      id,
      ...DPS,
      sourceTable: 'public.historical_response',
      sourceKey: '24',
      questionId: inserted('public.historical_question')[0]!.id,
      sequence: 0,
      code: '182001',
      response: 'NO',
      label: 'No',
      responseDate: '2024-01-13',
      additionalInformation: 'two people only',
      recordedBy: 'USER1_GEN',
      recordedAt: '2024-01-15T09:10:00.000000Z',
      recordedAtLocal: '2024-01-15T09:10:00.000000',
      ofEarlierType: true,
    }
    expect(inserted('public.historical_response')).toEqual([{ entity: 'Response', id, op: 'upsert', value }])
  })

  test('the same serial key in two tables makes two ids', () => {
    const ids = ['public.question', 'public.historical_question'] as const
    expect(new Set(ids.map((table) => inserted(table, { id: 5 })[0]!.id)).size).toBe(2)
  })

  test('a request for correction', () => {
    const id = rowId('public.correction_request', '25')
    const value = {
      id,
      ...DPS,
      sourceTable: 'public.correction_request',
      sourceKey: '25',
      reportId: REPORT_ID,
      sequence: 3,
      descriptionOfChange: 'Name the officer.',
      correctionRequestedAt: '2024-01-16T08:00:00.000000Z',
      correctionRequestedAtLocal: '2024-01-16T08:00:00.000000',
      correctionRequestedBy: 'WARDEN_GEN',
      location: 'MDI',
      userAction: 'REQUEST_DUPLICATE',
      originalReportReference: '10000041',
      userType: 'DATA_WARDEN',
    }
    expect(inserted('public.correction_request')).toEqual([{ entity: 'CorrectionRequest', id, op: 'upsert', value }])
  })

  test('an addition to a description', () => {
    const id = rowId('public.description_addendum', '26')
    const value = {
      id,
      ...DPS,
      sourceTable: 'public.description_addendum',
      sourceKey: '26',
      reportId: REPORT_ID,
      sequence: 0,
      text: 'The officer was Smith.',
      createdAt: '2024-01-17T08:30:00.000000Z',
      createdAtLocal: '2024-01-17T08:30:00.000000',
      createdBy: 'USER1_GEN',
      firstName: 'Mary',
      lastName: 'Smith',
    }
    expect(inserted('public.description_addendum')).toEqual([
      { entity: 'DescriptionAddendum', id, op: 'upsert', value },
    ])
  })
})

describe('the legacy model', () => {
  test('an incident is a report, one status change of now at the time of reporting, and its additions (rules legacy.identity, legacy.status-history)', () => {
    const [report, status, addendum, ...more] = inserted('nomis.incident_cases')
    expect(more).toEqual([])
    const common = { ...NOMIS, sourceTable: 'nomis.incident_cases', sourceKey: '247314' }
    expect(report).toEqual({
      entity: 'Report',
      id: CASE_ID,
      op: 'upsert',
      value: {
        id: CASE_ID,
        ...common,
        createdIn: 'NOMIS',
        type: 'FIND_6',
        typeFamily: 'FIND',
        typeRaw: 'FIND0422',
        status: 'ON_HOLD',
        statusRaw: 'INAN',
        ignoreDownstream: false,
        completed: false,
        location: 'BXI',
        incidentDateAndTime: '2004-07-01T20:45:00.000000Z',
        incidentDateAndTimeLocal: '2004-07-01T21:45:00.000000',
        reportedAt: '2004-07-02T07:15:00.000000Z',
        reportedAtLocal: '2004-07-02T08:15:00.000000',
        reportedBy: 'REPORTER_GEN',
        title: 'Find',
        description: 'Found on the wing.',
        placeholders: false,
        questionSetId: '3412',
        createdAt: '2012-03-04T10:20:30.123456Z',
        createdAtLocal: '2012-03-04T10:20:30.123456',
        modifiedAt: '2012-03-05T11:21:31.000000Z',
        modifiedAtLocal: '2012-03-05T11:21:31.000000',
        modifiedBy: 'MODIFIER_GEN',
        staffInvolvementDone: null,
        prisonerInvolvementDone: null,
        duplicatedReportId: null,
        lastUserAction: null,
        responsesLocked: false,
        followUpDate: '2004-08-01',
      },
    })
    const id = rowId('nomis.incident_cases', '247314/status')
    expect(status).toEqual({
      entity: 'StatusChange',
      id,
      op: 'upsert',
      value: {
        id,
        ...common,
        reportId: CASE_ID,
        status: 'ON_HOLD',
        statusRaw: 'INAN',
        changedAt: '2004-07-02T07:15:00.000000Z',
        changedAtLocal: '2004-07-02T08:15:00.000000',
        changedBy: 'REPORTER_GEN',
        synthetic: true,
      },
    })
    const addendumId = rowId('nomis.incident_cases', '247314/addendum/0')
    expect(addendum).toEqual({
      entity: 'DescriptionAddendum',
      id: addendumId,
      op: 'upsert',
      value: {
        id: addendumId,
        ...common,
        reportId: CASE_ID,
        sequence: 0,
        text: 'Nothing else was found.',
        createdAt: '2004-07-05T09:15:00.000000Z',
        createdAtLocal: '2004-07-05T10:15:00.000000',
        createdBy: null,
        firstName: 'Ann',
        lastName: 'Brown',
      },
    })
  })

  test('an incident that was never edited was last edited when it was created (rule legacy.stamps)', () => {
    const [report] = inserted('nomis.incident_cases', { modify_datetime: null, modify_user_id: null })
    expect(report!.value).toMatchObject({
      modifiedAt: '2012-03-04T10:20:30.123456Z',
      modifiedBy: 'CREATOR_GEN',
      placeholders: false,
    })
  })

  test.each([
    [
      { agy_loc_id: 'NOU', questionnaire_id: 4001 },
      { location: 'NOU', questionSetId: '4001' },
    ],
    [
      { agy_loc_id: null, questionnaire_id: null },
      { location: null, questionSetId: null },
    ],
  ])('agency and question set %o are taken over as they are (rule legacy.location)', (cells, fields) => {
    expect(inserted('nomis.incident_cases', cells)[0]!.value).toMatchObject(fields)
  })

  test.each([
    [{ response_locked_flag: 'Y' }, { responsesLocked: true }],
    [{ response_locked_flag: null }, { responsesLocked: null }],
    [{ follow_up_date: '2005-02-28 00:00:00' }, { followUpDate: '2005-02-28' }],
    [{ follow_up_date: null }, { followUpDate: null }],
  ])('%o stays, which the synchronisation left out (rule legacy.not-carried)', (cells, fields) => {
    const [report] = inserted('nomis.incident_cases', cells)
    expect(report!.value).toMatchObject({ ...fields, duplicatedReportId: null })
  })

  test('a title or description that NOMIS never had is an absence without a placeholder', () => {
    const [report] = inserted('nomis.incident_cases', { incident_title: null, incident_details: null })
    expect(report!.value).toMatchObject({ title: null, description: null, placeholders: false })
  })

  test('a party without staff id is a prisoner (rule legacy.parties)', () => {
    const id = rowId('nomis.incident_case_parties', '247314/3')
    const value = {
      id,
      ...NOMIS,
      sourceTable: 'nomis.incident_case_parties',
      sourceKey: '247314/3',
      reportId: CASE_ID,
      sequence: 3,
      prisonerNumber: 'B4321CD',
      firstName: 'Peter',
      lastName: 'Brown',
      prisonerRole: 'VICTIM',
      prisonerRoleRaw: 'VICT',
      outcome: 'PLACED_ON_REPORT',
      outcomeRaw: 'POR',
      comment: 'Hit on the arm.',
    }
    expect(inserted('nomis.incident_case_parties')).toEqual([
      { entity: 'PrisonerInvolvement', id, op: 'upsert', value },
    ])
  })

  test('a party with a staff id is staff, and its role is read as a staff role', () => {
    const [row] = inserted('nomis.incident_case_parties', {
      staff_id: 485,
      offender_no: null,
      offender_book_id: null,
      outcome_code: null,
      participation_role: 'INV',
      staff_username: 'unknown',
    })
    expect(row).toMatchObject({
      entity: 'StaffInvolvement',
      value: { staffRole: 'ACTIVELY_INVOLVED', staffRoleRaw: 'INV', staffUsername: null, firstName: 'Peter' },
    })
  })

  test("a question's text is its label too (rule legacy.questions)", () => {
    const id = rowId('nomis.incident_case_questions', '247314/4')
    const value = {
      id,
      ...NOMIS,
      sourceTable: 'nomis.incident_case_questions',
      sourceKey: '247314/4',
      reportId: CASE_ID,
      sequence: 4,
      code: '44149',
      question: 'DESCRIBE THE FIND',
      label: 'DESCRIBE THE FIND',
      additionalInformation: null,
      typeChangeId: null,
    }
    expect(inserted('nomis.incident_case_questions')).toEqual([{ entity: 'Question', id, op: 'upsert', value }])
  })

  test('a response names its question by the id that the question has', () => {
    const id = rowId('nomis.incident_case_responses', '247314/4/7')
    const value = {
      id,
      ...NOMIS,
      sourceTable: 'nomis.incident_case_responses',
      sourceKey: '247314/4/7',
      questionId: inserted('nomis.incident_case_questions')[0]!.id,
      sequence: 7,
      code: '182200',
      response: 'DRUGS',
      label: 'DRUGS',
      responseDate: '2004-07-01',
      additionalInformation: 'in the cell',
      recordedBy: 'REPORTER_GEN',
      recordedAt: '2012-03-04T10:20:30.123456Z',
      recordedAtLocal: '2012-03-04T10:20:30.123456',
      ofEarlierType: false,
    }
    expect(inserted('nomis.incident_case_responses')).toEqual([{ entity: 'Response', id, op: 'upsert', value }])
  })

  test('a response without an answer stays: its date and comment were recorded (rule legacy.responses)', () => {
    const [row] = inserted('nomis.incident_case_responses', { questionnaire_ans_id: null, answer: null })
    expect(row!.value).toMatchObject({ code: null, response: null, label: null, additionalInformation: 'in the cell' })
  })

  test('a response is of the time at which NOMIS recorded it, not of the report’s (rule legacy.responses)', () => {
    const at = (create: string | null) =>
      inserted('nomis.incident_case_responses', { create_datetime: create })[0]!.value['recordedAtLocal']
    expect([at('2019-03-31 10:00:00.25'), at(null)]).toEqual(['2019-03-31T10:00:00.250000', null])
  })

  test('a change of type names the type before, with its questionnaire (rule legacy.history)', () => {
    const id = rowId('nomis.incident_questionnaire_hty', '901')
    const value = {
      id,
      ...NOMIS,
      sourceTable: 'nomis.incident_questionnaire_hty',
      sourceKey: '901',
      reportId: CASE_ID,
      type: 'ASSAULT_5',
      typeFamily: 'ASSAULT',
      typeRaw: 'ASSAULTS3',
      questionSetId: '3411',
      changedAt: '2004-07-02T11:00:00.000000Z',
      changedAtLocal: '2004-07-02T12:00:00.000000',
      changedBy: 'CHANGER_GEN',
    }
    expect(inserted('nomis.incident_questionnaire_hty')).toEqual([{ entity: 'TypeChange', id, op: 'upsert', value }])
  })

  test('questions and responses of an earlier type hang on the change of type, with their dates (rule legacy.history)', () => {
    const typeChangeId = inserted('nomis.incident_questionnaire_hty')[0]!.id
    const [question] = inserted('nomis.incident_que_question_hty')
    expect(question).toMatchObject({
      entity: 'Question',
      id: rowId('nomis.incident_que_question_hty', '901/5'),
      value: { ...NOMIS, sourceKey: '901/5', reportId: null, typeChangeId, sequence: 5, code: '44150' },
    })
    const [response] = inserted('nomis.incident_que_response_hty')
    expect(response).toMatchObject({
      entity: 'Response',
      id: rowId('nomis.incident_que_response_hty', '901/5/8'),
      value: { ...NOMIS, questionId: question!.id, ofEarlierType: true, sequence: 8, code: '182300', response: 'YES' },
    })
    expect(response!.value['responseDate']).toBe('2004-07-01')
  })

  test('a requirement is a request for correction without action and user type (rule legacy.requirements)', () => {
    const id = rowId('nomis.incident_case_requirements', '247314/2')
    const value = {
      id,
      ...NOMIS,
      sourceTable: 'nomis.incident_case_requirements',
      sourceKey: '247314/2',
      reportId: CASE_ID,
      sequence: 2,
      descriptionOfChange: 'Say where it was found.',
      correctionRequestedAt: '2004-07-03T08:00:00.000000Z',
      correctionRequestedAtLocal: '2004-07-03T09:00:00.000000',
      correctionRequestedBy: 'WARDEN_GEN',
      location: 'BXI',
      userAction: null,
      originalReportReference: null,
      userType: null,
    }
    expect(inserted('nomis.incident_case_requirements')).toEqual([
      { entity: 'CorrectionRequest', id, op: 'upsert', value },
    ])
  })

  const ofIncidents = SAMPLED_TABLES.filter((name) => /^nomis\.incident_(case|que)/.test(name))

  test.each(ofIncidents)(
    'a row of %s from reference 10 000 000 on is a copy of a DPS report (rule nomis.copies)',
    (table) => {
      const row = sourceRow(table)
      for (const parts of [{ after: row }, { before: row, after: row }, { before: row }]) {
        const copy = unify(rowChange(table, { ...parts, reference: '10000000' }))
        expect(copy).toMatchObject({ rows: [], refusal: null, absence: 'copy-of-dps' })
      }
      const last = unify(rowChange(table, { after: row, reference: '9999999' }))
      expect(last).toMatchObject({ refusal: null, absence: null })
      expect(last.rows.length).toBeGreaterThan(0)
    },
  )
})

describe('placeholders are absences (rule legacy.placeholders)', () => {
  const gone = {
    title: 'NO DETAILS GIVEN',
    description: 'NO DETAILS GIVEN',
    reported_by: 'unknown',
    modified_by: 'unknown',
  }

  test.each(Object.entries(gone))('%s of a report, with a flag', (column, placeholder) => {
    const [report] = inserted('public.report', { [column]: placeholder })
    expect(report!.value['placeholders']).toBe(true)
    expect(Object.values(report!.value)).not.toContain(placeholder)
  })

  test('a text that only mentions a placeholder is a text', () => {
    const [report] = inserted('public.report', { title: 'NO DETAILS GIVEN by staff', description: 'unknown' })
    expect(report!.value).toMatchObject({
      title: 'NO DETAILS GIVEN by staff',
      description: 'unknown',
      placeholders: false,
    })
  })

  test.each([
    ['public.prisoner_involvement', 'comment', 'comment', 'NO DETAILS GIVEN'],
    ['public.staff_involvement', 'comment', 'comment', 'NO DETAILS GIVEN'],
    ['public.staff_involvement', 'staff_username', 'staffUsername', 'unknown'],
    ['public.status_history', 'changed_by', 'changedBy', 'unknown'],
    ['public.response', 'recorded_by', 'recordedBy', 'unknown'],
    ['public.response', 'code', 'code', 'null'],
    ['public.history', 'changed_by', 'changedBy', 'unknown'],
    ['public.historical_response', 'code', 'code', 'null'],
    ['public.historical_response', 'recorded_by', 'recordedBy', 'unknown'],
    ['public.correction_request', 'description_of_change', 'descriptionOfChange', 'NO DETAILS GIVEN'],
    ['public.correction_request', 'correction_requested_by', 'correctionRequestedBy', 'unknown'],
    ['public.description_addendum', 'created_by', 'createdBy', 'INCIDENT_REPORTING_API'],
    ['public.description_addendum', 'created_by', 'createdBy', 'unknown'],
    ['nomis.incident_case_requirements', 'comment_text', 'descriptionOfChange', 'NO DETAILS GIVEN'],
    ['nomis.incident_questionnaire_hty', 'staff_username', 'changedBy', 'unknown'],
    ['nomis.incident_cases', 'staff_username', 'reportedBy', 'unknown'],
    ['nomis.incident_case_parties', 'comment_text', 'comment', 'NO DETAILS GIVEN'],
    ['nomis.incident_case_responses', 'recorded_by', 'recordedBy', 'unknown'],
  ] as const)('%s.%s', (table, column, field, placeholder) => {
    expect(inserted(table, { [column]: placeholder })[0]!.value[field]).toBeNull()
  })
})

describe('what a change does', () => {
  test('rows of a snapshot are upserts', () => {
    const change = rowChange('public.question', { after: sourceRow('public.question'), op: 'r' })
    expect(unify(change).rows.map((row) => row.op)).toEqual(['upsert'])
  })

  test('a delete carries the last known state', () => {
    const before = sourceRow('nomis.incident_cases')
    const { rows } = unify(rowChange('nomis.incident_cases', { before, reference: '247314' }))
    expect(rows).toEqual(inserted('nomis.incident_cases').map((row) => ({ ...row, op: 'delete' })))
  })

  test('an update is an upsert of the row after it', () => {
    const before = sourceRow('public.report')
    const after = sourceRow('public.report', { status: 'CLOSED' })
    const { rows } = unify(rowChange('public.report', { before, after }))
    expect(rows).toHaveLength(1)
    expect(rows[0]).toMatchObject({ op: 'upsert', value: { status: 'CLOSED', completed: true } })
  })

  test('a party that turns from staff into prisoner is deleted as staff', () => {
    const before = sourceRow('nomis.incident_case_parties', { staff_id: 485, outcome_code: null })
    const after = sourceRow('nomis.incident_case_parties')
    const { rows } = unify(rowChange('nomis.incident_case_parties', { before, after }))
    expect(rows.map(({ entity, op }) => [entity, op])).toEqual([
      ['StaffInvolvement', 'delete'],
      ['PrisonerInvolvement', 'upsert'],
    ])
  })

  test('an addition that is no longer in the details is deleted, one that is in them again upserted (rule legacy.addenda)', () => {
    const second = 'User:Green,Bo Date:06/07/2004 11:00And then this.'
    const one = sourceRow('nomis.incident_cases')
    const two = sourceRow('nomis.incident_cases', { incident_details: `${one['incident_details'] as string}${second}` })
    const addenda = (before: Row, after: Row) =>
      unify(rowChange('nomis.incident_cases', { before, after }))
        .rows.filter(({ entity }) => entity === 'DescriptionAddendum')
        .map(({ id, op }) => [op, id])
    const ids = [0, 1].map((sequence) => rowId('nomis.incident_cases', `247314/addendum/${sequence}`))
    expect(addenda(one, two)).toEqual([
      ['upsert', ids[0]],
      ['upsert', ids[1]],
    ])
    expect(addenda(two, one)).toEqual([
      ['delete', ids[1]],
      ['upsert', ids[0]],
    ])
    const none = sourceRow('nomis.incident_cases', { incident_details: null })
    expect(addenda(two, none)).toEqual([
      ['delete', ids[0]],
      ['delete', ids[1]],
    ])
  })

  test('an update of a key deletes the row of the old one', () => {
    const before = sourceRow('public.question', { id: 1 })
    const { rows } = unify(rowChange('public.question', { before, after: sourceRow('public.question') }))
    expect(rows.map(({ id, op }) => [id, op])).toEqual([
      [rowId('public.question', '1'), 'delete'],
      [rowId('public.question', '19'), 'upsert'],
    ])
  })

  test('a row that cannot be mapped is refused, and what the row before made goes (rule codes.unknown)', () => {
    const before = sourceRow('nomis.incident_case_parties', { staff_id: 485, outcome_code: null })
    const after = sourceRow('nomis.incident_case_parties', { participation_role: 'DRONE' })
    expect(unify(rowChange('nomis.incident_case_parties', { before, after }))).toMatchObject({
      rows: [{ entity: 'StaffInvolvement', op: 'delete' }],
      refusal: { code: 'UNKNOWN_CODE' },
      absence: null,
    })
  })

  test('a row before that could not be mapped made nothing', () => {
    const before = sourceRow('public.report', { type: 'NOPE' })
    expect(unify(rowChange('public.report', { before }))).toMatchObject({ rows: [], refusal: null, absence: null })
    const mended = unify(rowChange('public.report', { before, after: sourceRow('public.report') }))
    expect(mended.rows.map((row) => row.op)).toEqual(['upsert'])
  })

  test.each(SAMPLED_TABLES.filter((name) => incidentOf(name) !== null))(
    'a row of %s that belongs to no known incident is refused',
    (name) => {
      const change = rowChange(name, { after: sourceRow(name), reference: null })
      expect(unify(change)).toMatchObject({ rows: [], refusal: { code: 'NO_INCIDENT' } })
    },
  )

  test('markers and tables of no unified entity have no rows', () => {
    expect(unify(marker())).toMatchObject({ rows: [], refusal: null, absence: null })
    const added = { ...rowChange('public.question', { after: { id: 1 } }), table: ADDED_TABLE }
    expect(unify(added)).toMatchObject({ rows: [], refusal: null, absence: 'not-unified' })
  })
})

/** One that somebody adds to the publication. */
const ADDED_TABLE = { ...sourceTable('public.question'), name: 'added_yesterday' }

describe('values that the unified model cannot hold', () => {
  test.each([
    ['public.report', 'incident_date_and_time', 'infinity'],
    ['public.report', 'modified_at', '0044-03-15 00:00:00 BC'],
    ['public.report', 'created_at', null],
    ['public.question', 'sequence', null],
    ['nomis.incident_cases', 'incident_date', '-infinity'],
    ['nomis.incident_cases', 'report_time', '12004-01-01 10:00:00'],
    ['nomis.incident_case_responses', 'response_seq', 3_000_000_000],
    ['public.history', 'changed_at', 'infinity'],
    ['public.description_addendum', 'created_at', 'infinity'],
    ['nomis.incident_questionnaire_hty', 'type', null],
    ['nomis.incident_case_requirements', 'record_date', '-infinity'],
  ] as const)('%s.%s is needed', (table, column, value) => {
    const { rows, refusal } = unify(rowChange(table, { after: sourceRow(table, { [column]: value }) }))
    expect(rows).toEqual([])
    expect(refusal).toMatchObject({ code: 'VALUE_RANGE', message: expect.stringContaining(column) })
  })

  test('an optional date that is infinite is an absence', () => {
    expect(inserted('public.response', { response_date: 'infinity' })[0]!.value['responseDate']).toBeNull()
    expect(inserted('nomis.incident_cases', { follow_up_date: '-infinity' })[0]!.value['followUpDate']).toBeNull()
  })
})

test('a refusal names table, column and position, and never the value', () => {
  const after = sourceRow('public.prisoner_involvement', { prisoner_role: 'CANARY' })
  const { refusal } = unify(rowChange('public.prisoner_involvement', { after }))
  expect(refusal!.message).toBe(
    'The row of public.prisoner_involvement at 0001/00000016b374d848/00000001 has a code in column prisoner_role ' +
      'without a counterpart in the unified model.',
  )
})

test('unify is total: whatever the cells hold, it maps or refuses, and a refusal shows no cell', () => {
  const cell: fc.Arbitrary<Value> = fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.double(),
    fc.string({ unit: 'binary' }).map((text) => `canary${text}`),
    fc.constantFrom('infinity', '0044-01-01 00:00:00 BC', '2024-10-27 01:30:00', '2024-02-30 00:00:00', 'DUP', 'Y', ''),
    fc.uint8Array({ maxLength: 4 }),
  )
  const table = fc.constantFrom(...SAMPLED_TABLES)
  const row = (name: UnifiedTable) =>
    fc
      .record(Object.fromEntries(sourceTable(name).columns.map((column) => [column.name, cell])), { requiredKeys: [] })
      .chain((garbage) =>
        fc
          .subarray(Object.keys(garbage))
          .map((kept) => sourceRow(name, Object.fromEntries(kept.map((column) => [column, garbage[column] ?? null])))),
      )
  const change = table.chain((name) =>
    fc
      .tuple(row(name), row(name), fc.constantFrom('c', 'u', 'd'), fc.option(fc.string()))
      .map(([before, after, op, reference]) =>
        rowChange(name, {
          reference,
          before: op === 'c' ? null : before,
          after: op === 'd' ? null : after,
        }),
      ),
  )
  fc.assert(
    fc.property(change, (each) => {
      const { rows, refusal } = unify(each)
      if (refusal === null) return
      expect(rows.filter((row) => row.op !== 'delete')).toEqual([])
      expect(['UNKNOWN_CODE', 'VALUE_RANGE', 'NO_INCIDENT']).toContain(refusal.code)
      expect(`${refusal.message} ${refusal.remedy}`).not.toContain('canary')
    }),
    { numRuns: 2000 },
  )
})

test('the tables of the unified model are these', () => {
  expect(UNIFIED_TABLES.toSorted()).toEqual(SAMPLED_TABLES.toSorted())
})
