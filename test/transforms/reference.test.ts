/** The codes of both models as rows, and that no report depends on them. */
import { describe, expect, test } from 'vitest'
import type { Value } from '../../core/change.ts'
import { rowId } from '../../transforms/identity.ts'
import { unify } from '../../transforms/unify.ts'
import { incidentOf, rowChange, SAMPLED_TABLES, sourceRow, type UnifiedTable } from '../support/source-rows.ts'

const TABLES = SAMPLED_TABLES.filter((table) => incidentOf(table) === null)

function code(table: UnifiedTable, cells: Record<string, Value> = {}) {
  const { rows, refusal } = unify(rowChange(table, { after: sourceRow(table, cells) }))
  expect(refusal).toBeNull()
  expect(rows).toHaveLength(1)
  return rows[0]!
}

/** The fields that a row of the table fills beside those of every row. */
const FILLED: Readonly<Record<string, object>> = {
  'public.constant_type': {
    domain: 'type',
    code: 'ASSAULT_5',
    parentCode: 'ASSAULT',
    description: 'Assault',
    sequence: 5,
    active: true,
  },
  'public.constant_type_family': { domain: 'typeFamily', code: 'ASSAULT', description: 'Assault', sequence: 1 },
  'public.constant_status': {
    domain: 'status',
    code: 'DUPLICATE',
    description: 'Duplicate',
    sequence: 8,
    ignoreDownstream: true,
    definition: 'A copy of a report that exists already',
  },
  'public.constant_prisoner_role': { domain: 'prisonerRole', code: 'VICTIM', description: 'Victim', sequence: 18 },
  'public.constant_prisoner_outcome': { domain: 'prisonerOutcome', code: 'TRIAL', description: 'Trial', sequence: 16 },
  'public.constant_staff_role': { domain: 'staffRole', code: 'WITNESS', description: 'Witness', sequence: 16 },
  'public.constant_user_action': { domain: 'userAction', code: 'HOLD', description: 'Hold', sequence: 8 },
  'public.constant_user_type': { domain: 'userType', code: 'DATA_WARDEN', description: 'Data warden', sequence: 1 },
  'public.analytical_marker': { domain: 'analyticalMarker', code: '218711', parentCode: 'SERIOUS_INJURY' },
  'nomis.incident_statuses': {
    domain: 'nomis.status',
    code: 'INAN',
    unifiedCode: 'ON_HOLD',
    description: 'In Analysis',
    sequence: 2,
    active: true,
    standardUser: false,
    enhancedUser: true,
  },
  'nomis.questionnaires': {
    domain: 'nomis.questionnaire',
    code: '3412',
    unifiedCode: 'FIND_6',
    typeRaw: 'FIND0422',
    category: 'IR_TYPE',
    description: 'Finds',
    sequence: 7,
    active: true,
  },
  'nomis.questionnaire_questions': {
    domain: 'nomis.question',
    code: '44149',
    parentCode: '3412',
    description: 'DESCRIBE THE FIND',
    sequence: 4,
    active: false,
    expiryDate: '2015-03-04',
    multipleAnswers: true,
  },
  'nomis.questionnaire_answers': {
    domain: 'nomis.answer',
    code: '182200',
    parentCode: '44149',
    nextCode: '44150',
    description: 'DRUGS',
    sequence: 2,
    active: true,
    dateRequired: false,
    commentRequired: true,
    score: 3,
  },
  'nomis.questionnaire_roles': {
    domain: 'nomis.role',
    code: 'PERP',
    parentCode: '3412',
    unifiedCode: 'PERPETRATOR',
    sequence: 1,
    active: true,
    singleRole: false,
  },
}

test.each(TABLES)('a row of %s', (table) => {
  const { entity, value } = code(table)
  expect(entity).toBe('ReferenceCode')
  const { id, source, systemOfRecord, sourceTable, sourceKey, ...rest } = value
  const model = table.startsWith('nomis.') ? 'NOMIS' : 'DPS'
  expect([source, systemOfRecord, sourceTable]).toEqual([model, model, table])
  expect(id).toBe(rowId(table, String(sourceKey)))
  expect(Object.fromEntries(Object.entries(rest).filter(([, field]) => field !== null))).toEqual(FILLED[table])
})

test('keys of several columns name them all, in the order of the primary key', () => {
  expect(code('public.analytical_marker').value['sourceKey']).toBe('218711/SERIOUS_INJURY')
  expect(code('nomis.questionnaire_roles').value['sourceKey']).toBe('3412/PERP')
})

test('they belong to no incident, so they have no reference', () => {
  for (const table of TABLES) expect(code(table).value).not.toHaveProperty('reference')
})

describe('codes that the rules do not know', () => {
  test.each([
    ['nomis.incident_statuses', { code: 'IUP' }],
    ['nomis.questionnaires', { code: 'NEWTYPE' }],
    ['nomis.questionnaire_roles', { participation_role: 'DRONE' }],
  ] as const)('%s: the row stands, without a DPS code', (table, cells) => {
    expect(code(table, cells).value['unifiedCode']).toBeNull()
  })

  test('a type that is inactive, or that has no row yet, refuses no report (rule dps.late-codes)', () => {
    code('public.constant_type', { code: 'ASSAULT_5', active: false })
    code('public.constant_type', { code: 'ASSAULT_9' })
    expect(unify(rowChange('public.report', { after: sourceRow('public.report') })).refusal).toBeNull()
  })

  test('a renamed code is a delete and an upsert (rule dps.constants)', () => {
    const before = sourceRow('public.constant_type', { code: 'OLD_ASSAULT' })
    const { rows } = unify(rowChange('public.constant_type', { before, after: sourceRow('public.constant_type') }))
    expect(rows.map(({ op, value }) => [op, value['code']])).toEqual([
      ['delete', 'OLD_ASSAULT'],
      ['upsert', 'ASSAULT_5'],
    ])
  })

  test('a flag that is neither Y nor N is refused', () => {
    const after = sourceRow('nomis.questionnaires', { active_flag: 'X' })
    expect(unify(rowChange('nomis.questionnaires', { after })).refusal).toMatchObject({ code: 'UNKNOWN_CODE' })
  })
})
