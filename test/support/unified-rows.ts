/** Rows of the unified model by hand, whole as their contracts ask, and the changes that carry them. */
import type { Op, RowChange } from '../../core/change.ts'
import type { PipelineError } from '../../core/error.ts'
import type { Entity, EntityRow, IncidentChange } from '../../core/incident.ts'
import { position, type Position } from '../../core/position.ts'
import type { Entities } from '../../schemas/types.ts'
import { rowId } from '../../transforms/identity.ts'

/** The `n`th of an endless row of UUIDs. */
export function uuid(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
}

const INCIDENT = {
  incidentDateAndTime: '2024-07-01T11:34:56.789000Z',
  incidentDateAndTimeLocal: '2024-07-01T12:34:56.789000',
}

type Given<E extends Entity> = Partial<Entities[E]>

/** A report of DPS. */
export function dpsReport(n: number, given: Given<'Report'> = {}): EntityRow<'Report'> {
  const id = uuid(n)
  return row('Report', {
    id,
    reference: String(10_000_000 + n),
    source: 'DPS',
    systemOfRecord: 'DPS',
    sourceTable: 'public.report',
    sourceKey: id,
    createdIn: 'DPS',
    type: 'ASSAULT_5',
    typeFamily: 'ASSAULT',
    typeRaw: 'ASSAULT_5',
    status: 'AWAITING_REVIEW',
    statusRaw: 'AWAITING_REVIEW',
    ignoreDownstream: false,
    completed: false,
    location: 'LEI',
    ...INCIDENT,
    reportedAt: '2024-07-01T12:00:00.000000Z',
    reportedAtLocal: '2024-07-01T13:00:00.000000',
    reportedBy: 'REPORTER1',
    title: 'Assault in the kitchen',
    description: 'A plate\twas thrown.\nIt \\broke\\ – nobody 🚨 was hurt.\r',
    placeholders: false,
    questionSetId: null,
    createdAt: '2024-07-01T12:00:00.000000Z',
    createdAtLocal: '2024-07-01T13:00:00.000000',
    modifiedAt: '2024-07-02T12:00:00.500000Z',
    modifiedAtLocal: '2024-07-02T13:00:00.500000',
    modifiedBy: 'EDITOR1',
    staffInvolvementDone: false,
    prisonerInvolvementDone: true,
    duplicatedReportId: null,
    lastUserAction: null,
    responsesLocked: null,
    followUpDate: null,
    ...given,
  })
}

/** A report of NOMIS, without title or description. */
export function nomisReport(caseId: number, given: Given<'Report'> = {}): EntityRow<'Report'> {
  return dpsReport(0, {
    id: nomisReportId(caseId),
    ...nomis('nomis.incident_cases', String(caseId), caseId),
    createdIn: 'NOMIS',
    typeRaw: 'ASSAULTS3',
    status: 'ON_HOLD',
    statusRaw: 'INAN',
    reportedBy: null,
    title: null,
    description: null,
    placeholders: true,
    questionSetId: '42',
    modifiedBy: null,
    staffInvolvementDone: null,
    prisonerInvolvementDone: null,
    responsesLocked: true,
    followUpDate: '2024-07-09',
    ...given,
  })
}

export function nomisReportId(caseId: number): string {
  return rowId('nomis.incident_cases', String(caseId))
}

export function prisoner(n: number, of: EntityRow<'Report'>, given: Given<'PrisonerInvolvement'> = {}) {
  return row('PrisonerInvolvement', {
    ...child('prisoner_involvement', 'incident_case_parties', n, of),
    reportId: of.id,
    sequence: n,
    prisonerNumber: 'A1234BC',
    firstName: 'Ann',
    lastName: 'Other',
    prisonerRole: 'ASSAILANT',
    prisonerRoleRaw: 'ASSAILANT',
    outcome: 'PLACED_ON_REPORT',
    outcomeRaw: 'PLACED_ON_REPORT',
    comment: null,
    ...given,
  })
}

export function staff(n: number, of: EntityRow<'Report'>, given: Given<'StaffInvolvement'> = {}) {
  return row('StaffInvolvement', {
    ...child('staff_involvement', 'incident_case_parties', n, of),
    reportId: of.id,
    sequence: n,
    staffUsername: 'OFFICER1',
    firstName: 'Bo',
    lastName: 'Officer',
    staffRole: 'WITNESS',
    staffRoleRaw: 'WITNESS',
    comment: 'Saw it.',
    ...given,
  })
}

export function question(n: number, of: EntityRow<'Report' | 'TypeChange'>, given: Given<'Question'> = {}) {
  return row('Question', {
    ...child('question', 'incident_case_questions', n, of),
    reportId: of.id,
    sequence: n,
    code: String(44_000 + n),
    question: 'WAS THIS A SEXUAL ASSAULT',
    label: 'Was this a sexual assault?',
    additionalInformation: null,
    typeChangeId: null,
    ...given,
  })
}

export function response(n: number, to: EntityRow<'Question'>, given: Given<'Response'> = {}) {
  return row('Response', {
    ...child('response', 'incident_case_responses', n, to),
    questionId: to.id,
    sequence: n,
    code: String(180_000 + n),
    response: 'YES',
    label: 'Yes',
    responseDate: '2024-06-30',
    additionalInformation: null,
    recordedBy: 'REPORTER1',
    recordedAt: '2024-07-01T12:00:00.000000Z',
    recordedAtLocal: '2024-07-01T13:00:00.000000',
    ofEarlierType: false,
    ...given,
  })
}

/** A question that was asked while the report had the type before this change. */
export function earlierQuestion(n: number, of: EntityRow<'TypeChange'>, given: Given<'Question'> = {}) {
  return question(n, of, {
    ...child('historical_question', 'incident_que_question_hty', n, of),
    reportId: null,
    typeChangeId: of.id,
    ...given,
  })
}

export function earlierResponse(n: number, to: EntityRow<'Question'>, given: Given<'Response'> = {}) {
  return response(n, to, {
    ...child('historical_response', 'incident_que_response_hty', n, to),
    ofEarlierType: true,
    ...given,
  })
}

export function typeChange(n: number, of: EntityRow<'Report'>, given: Given<'TypeChange'> = {}) {
  return row('TypeChange', {
    ...child('history', 'incident_questionnaire_hty', n, of),
    reportId: of.id,
    type: 'DISORDER_2',
    typeFamily: 'DISORDER',
    typeRaw: 'DISORDER_2',
    questionSetId: null,
    changedAt: '2024-07-01T12:30:00.000000Z',
    changedAtLocal: '2024-07-01T13:30:00.000000',
    changedBy: 'EDITOR1',
    ...given,
  })
}

export function correctionRequest(n: number, of: EntityRow<'Report'>, given: Given<'CorrectionRequest'> = {}) {
  return row('CorrectionRequest', {
    ...child('correction_request', 'incident_case_requirements', n, of),
    reportId: of.id,
    sequence: n,
    descriptionOfChange: 'Say who called healthcare.',
    correctionRequestedAt: '2024-07-02T08:00:00.000000Z',
    correctionRequestedAtLocal: '2024-07-02T09:00:00.000000',
    correctionRequestedBy: 'WARDEN1',
    location: 'LEI',
    userAction: 'REQUEST_CORRECTION',
    originalReportReference: null,
    userType: 'DATA_WARDEN',
    ...given,
  })
}

export function descriptionAddendum(n: number, of: EntityRow<'Report'>, given: Given<'DescriptionAddendum'> = {}) {
  return row('DescriptionAddendum', {
    ...child('description_addendum', 'incident_cases', n, of),
    reportId: of.id,
    sequence: n,
    text: 'Healthcare was called by radio.',
    createdAt: '2024-07-02T10:15:00.000000Z',
    createdAtLocal: '2024-07-02T11:15:00.000000',
    createdBy: 'OFFICER1',
    firstName: 'Bo',
    lastName: 'Officer',
    ...given,
  })
}

/** A code that belongs to no incident. */
export function referenceCode(code: string, given: Given<'ReferenceCode'> = {}) {
  return row('ReferenceCode', {
    id: rowId('public.constant_type', code),
    source: 'DPS',
    systemOfRecord: 'DPS',
    sourceTable: 'public.constant_type',
    sourceKey: code,
    domain: 'type',
    code,
    parentCode: 'ASSAULT',
    unifiedCode: null,
    typeRaw: null,
    category: null,
    description: 'Assault',
    definition: null,
    sequence: 5,
    active: true,
    expiryDate: null,
    ignoreDownstream: null,
    standardUser: null,
    enhancedUser: null,
    multipleAnswers: null,
    nextCode: null,
    dateRequired: null,
    commentRequired: null,
    score: null,
    singleRole: null,
    ...given,
  })
}

export function statusChange(n: number, of: EntityRow<'Report'>, given: Given<'StatusChange'> = {}) {
  return row('StatusChange', {
    ...child('status_history', 'incident_cases', n, of),
    reportId: of.id,
    status: 'DRAFT',
    statusRaw: 'DRAFT',
    changedAt: '2024-07-01T12:00:00.000000Z',
    changedAtLocal: '2024-07-01T13:00:00.000000',
    changedBy: 'REPORTER1',
    synthetic: false,
    ...given,
  })
}

function row<E extends Entity>(entity: E, value: Entities[E]): EntityRow<E> {
  return { entity, id: value.id, op: 'upsert', value }
}

/** Of DPS or NOMIS, as its parent is. */
function child(dpsTable: string, nomisTable: string, n: number, parent: EntityRow) {
  const { source, reference } = parent.value as Entities['Report']
  const sourceTable = source === 'DPS' ? `public.${dpsTable}` : `nomis.${nomisTable}`
  const sourceKey = source === 'DPS' ? String(n) : `${reference}/${n}`
  return { id: rowId(sourceTable, sourceKey), reference, source, systemOfRecord: source, sourceTable, sourceKey }
}

function nomis(sourceTable: string, sourceKey: string, caseId: number) {
  return { reference: String(caseId), source: 'NOMIS', systemOfRecord: 'NOMIS', sourceTable, sourceKey }
}

export interface ChangeOptions {
  readonly offset: number
  /** The commit's; seconds of the commit time too. */
  readonly lsn: number
  readonly ordinal?: number
  readonly partition?: number
  readonly op?: Op
  /** False for all but the last change of a transaction. */
  readonly last?: boolean
  readonly refusal?: PipelineError
}

/** The change of the one source row that these rows are made of; a refused one's row is named by `rows` too. */
export function changeOf(options: ChangeOptions, ...rows: readonly EntityRow[]): IncidentChange {
  const { lsn, offset, op = 'c', last = true, partition = 0, refusal = null } = options
  const {
    sourceTable,
    sourceKey,
    reference = null,
  } = rows[0]!.value as Partial<Entities['Report']> & Pick<Entities['Report'], 'sourceTable' | 'sourceKey'>
  const [schema = '', name = ''] = sourceTable.split('.')
  const image = { key: sourceKey }
  const change: RowChange = {
    op,
    position: position(1, lsn, op === 'r' ? 0 : (options.ordinal ?? 1)),
    lsn,
    committedAt: lsn * 1_000_000,
    txId: op === 'r' ? 0 : lsn,
    partition,
    offset,
    streamedTo: '' as Position,
    lastInTransaction: last,
    bytes: 200,
    table: { schema, name, columns: [], key: ['key'] },
    reference,
    before: op === 'd' ? image : null,
    after: op === 'd' ? null : image,
  }
  const made = op === 'd' ? rows.map((each) => ({ ...each, op: 'delete' as const })) : rows
  return { change, rows: refusal === null ? made : [], refusal, absence: null }
}

export interface MarkerOptions {
  readonly offset: number
  readonly lsn: number
  readonly partition?: number
  readonly snapshotDone?: boolean
}

export function markerAt({ offset, lsn, partition = 0, snapshotDone = true }: MarkerOptions): IncidentChange {
  return {
    change: {
      op: 'm',
      position: position(1, lsn, 0),
      lsn,
      committedAt: lsn * 1_000_000,
      txId: 0,
      partition,
      offset,
      streamedTo: '' as Position,
      lastInTransaction: false,
      bytes: 50,
      slot: 'incidents',
      systemIdentifier: '7',
      timeline: 1,
      snapshotDone,
      stopped: [],
    },
    rows: [],
    refusal: null,
    absence: null,
  }
}
