import { describe, expect, test } from 'vitest'
import { SOURCE_TABLES } from '../../connectors/postgres/source-tables.ts'
import type { Row, Value } from '../../core/change.ts'
import { ENTITIES, type Entity, type EntityRow } from '../../core/incident.ts'
import { ENTITY_DEFINITIONS, KINDS } from '../../schemas/entity.ts'
import { CLEARANCES, OUTPUTS } from '../../schemas/policy/clearance.ts'
import { CLASSIFIED_TABLES, columnKind } from '../../schemas/policy/columns.ts'
import { DECLASSIFIED, LINEAGE } from '../../schemas/policy/lineage.ts'
import { projections, pseudonym } from '../../schemas/policy/projection.ts'
import { violations } from '../../schemas/policy/violations.ts'
import { unify } from '../../transforms/unify.ts'
import { rowChange, SAMPLED_TABLES, sourceRow, sourceTable, type UnifiedTable } from '../support/source-rows.ts'

const KEY = 'a key of the tests'

describe('source columns', () => {
  test.each(SOURCE_TABLES.map((table) => [`${table.schema}.${table.name}`, table] as const))(
    'every column of %s is classified',
    (_name, { schema, name, columns }) => {
      expect(columns.filter((column) => columnKind(schema, name, column.name) === undefined)).toEqual([])
    },
  )

  test('no other table is', () => {
    const names = SOURCE_TABLES.map(({ schema, name }) => `${schema}.${name}`)
    expect(CLASSIFIED_TABLES.toSorted()).toEqual(names.toSorted())
  })

  test('a column that nobody has classified has no kind', () => {
    expect(columnKind('public', 'report', 'added_yesterday')).toBeUndefined()
    expect(columnKind('public', 'unheard_of', 'id')).toBeUndefined()
    expect(columnKind('public', 'report', 'constructor')).toBeUndefined()
  })

  test.each([
    ['public', 'prisoner_involvement', 'prisoner_number', 'prisonerNumber'],
    ['public', 'prisoner_involvement', 'last_name', 'name'],
    ['public', 'description_addendum', 'text', 'freeText'],
    ['public', 'correction_request', 'description_of_change', 'freeText'],
    ['public', 'report', 'title', 'freeText'],
    ['public', 'report', 'modified_by', 'username'],
    ['public', 'response', 'additional_information', 'freeText'],
    ['nomis', 'incident_cases', 'incident_details', 'freeText'],
    ['nomis', 'incident_cases', 'audit_client_ip_address', 'username'],
    ['nomis', 'incident_case_parties', 'offender_no', 'prisonerNumber'],
    ['nomis', 'incident_case_requirements', 'comment_text', 'freeText'],
    ['nomis', 'incident_questionnaire_hty', 'staff_username', 'username'],
    ['public', 'historical_response', 'additional_information', 'freeText'],
    ['public', 'description_addendum', 'first_name', 'name'],
  ])('%s.%s.%s is %s', (schema, table, column, kind) => {
    expect(columnKind(schema, table, column)).toBe(kind)
  })
})

describe('unified fields', () => {
  test('each is at least as protected as every column that it is made of', () => {
    expect(violations()).toEqual([])
  })

  test.each([
    ['name', ['Report.location exposes public.report.location']],
    ['freeText', ['Report.location exposes public.report.location']],
    [undefined, ['Report.location exposes public.report.location']],
    ['code', []],
  ] as const)('a field of a column that turns into %s is found where it shows too much', (kind, found) => {
    expect(violations((...path) => (path.join('.') === 'public.report.location' ? kind : columnKind(...path)))).toEqual(
      found,
    )
  })

  test('each has a lineage, and nothing else has', () => {
    for (const entity of ENTITIES) {
      const fields = ENTITY_DEFINITIONS[entity].fields.map((field) => field.name)
      expect(Object.keys(LINEAGE[entity]).toSorted()).toEqual(fields.toSorted())
    }
  })

  test('the exceptions are these', () => {
    const reason = expect.any(String) as string
    expect(DECLASSIFIED).toEqual({
      Report: { placeholders: reason },
      DescriptionAddendum: { id: reason, sequence: reason, createdAt: reason, createdAtLocal: reason },
    })
  })

  test.each(SAMPLED_TABLES)('a cell of %s changes no field beyond its lineage', (table) => {
    for (const { name: column } of sourceTable(table).columns) {
      for (const other of others(sourceRow(table)[column] ?? null)) {
        const path = `${table}.${column}`
        const found = changedFields(table, column, other)
        expect(found.filter(([entity, field]) => !LINEAGE[entity][field]!.includes(path))).toEqual([])
      }
    }
  })
})

/** Values of the same form, and those that rules look for. */
function others(value: Value): Value[] {
  if (typeof value === 'boolean') return [!value, null]
  if (typeof value === 'number') return [value + 1, null]
  if (typeof value === 'string' && /^\d{4}-/.test(value))
    return [value.replace(/^\d{4}/, '2001').replace(/-\d\d/, '-03')]
  return [
    'NO DETAILS GIVEN',
    'unknown',
    'null',
    null,
    'NOMIS',
    'CLOSED',
    'CLOSE',
    'ASSAULT_1',
    'ASSAULT',
    'VICTIM',
    'HOST',
    'ACCT',
    'Y',
    'A text.User:Green,Bo Date:06/07/2005 11:00And this.User:Green,Bo Date:06/07/2005 11:00And that.',
  ]
}

/** The fields that differ when one cell does, in rows of the same entity. */
function changedFields(table: UnifiedTable, column: string, value: Value): [Entity, string][] {
  const plain = rowsOf(table, {})
  return rowsOf(table, { [column]: value }).flatMap(({ entity, value: changed }) => {
    const row = plain.find((each) => each.entity === entity)
    if (row === undefined) return []
    return Object.keys(changed)
      .filter((field) => changed[field] !== row.value[field])
      .map((field): [Entity, string] => [entity, field])
  })
}

function rowsOf(table: UnifiedTable, cells: Row): readonly EntityRow[] {
  return unify(rowChange(table, { after: sourceRow(table, cells) })).rows
}

describe('projections', () => {
  test('the clearance of every kind in every output is the policy', () => {
    const governed = Object.fromEntries(KINDS.map((kind) => [kind, CLEARANCES.unified[kind]]))
    expect(governed).toEqual({
      key: 'clear',
      code: 'clear',
      date: 'clear',
      location: 'clear',
      prisonerNumber: 'pseudonym',
      name: 'withheld',
      username: 'pseudonym',
      freeText: 'length',
    })
    expect(CLEARANCES.analytics).toEqual(CLEARANCES.unified)
    for (const output of ['dpr-raw', 'operational'] as const) {
      expect(new Set(Object.values(CLEARANCES[output]))).toEqual(new Set(['clear']))
    }
    expect(Object.keys(CLEARANCES).toSorted()).toEqual([...OUTPUTS].toSorted())
  })

  test('a prisoner in a governed output: a pseudonym, no name, the length of the comment', () => {
    const { fields, project } = projections('unified', KEY).PrisonerInvolvement
    const [row] = rowsOf('public.prisoner_involvement', { comment: 'Zoë 👋' })
    const projected = Object.fromEntries(project(row!.value).map((value, i) => [fields[i]!.name, value]))
    expect(projected).toMatchObject({
      prisonerNumberPseudonym: pseudonym(KEY, 'A1234BC'),
      prisonerRole: 'ASSAILANT',
      commentLength: 5,
    })
    for (const withheld of ['prisonerNumber', 'firstName', 'lastName', 'comment']) {
      expect(projected).not.toHaveProperty(withheld)
    }
  })

  test('an addition to a description in a governed output: when and how long, not by whom and what', () => {
    const { fields, project } = projections('unified', KEY).DescriptionAddendum
    for (const table of ['public.description_addendum', 'nomis.incident_cases'] as const) {
      const row = rowsOf(table, {}).find(({ entity }) => entity === 'DescriptionAddendum')!
      const projected = Object.fromEntries(project(row.value).map((value, i) => [fields[i]!.name, value]))
      expect(projected).toMatchObject({ sequence: 0, textLength: String(row.value['text']).length })
      for (const withheld of ['text', 'firstName', 'lastName', 'createdBy']) {
        expect(projected).not.toHaveProperty(withheld)
      }
    }
  })

  test('a pseudonym is the same for the same value under the same key only', () => {
    const of = (key: string, number: string) => {
      const { fields, project } = projections('unified', key).PrisonerInvolvement
      const [row] = rowsOf('public.prisoner_involvement', { prisoner_number: number })
      return project(row!.value)[fields.findIndex((field) => field.name === 'prisonerNumberPseudonym')]
    }
    expect(of(KEY, 'A1234BC')).toBe(of(KEY, 'A1234BC'))
    expect(of(KEY, 'A1234BC')).not.toBe(of(KEY, 'A1234BD'))
    expect(of(KEY, 'A1234BC')).not.toBe(of('another key', 'A1234BC'))
  })

  test('an absence stays an absence, whatever the treatment', () => {
    const { fields, project } = projections('unified', KEY).StaffInvolvement
    const [row] = rowsOf('public.staff_involvement', { staff_username: null, comment: null })
    const projected = Object.fromEntries(project(row!.value).map((value, i) => [fields[i]!.name, value]))
    expect(projected).toMatchObject({ staffUsernamePseudonym: null, commentLength: null })
  })
})
