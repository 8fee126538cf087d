/** Every row that the source's schema and the code tables allow, as generators. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { SOURCE_TABLES } from '../../connectors/postgres/source-tables.ts'
import type { Row, Value } from '../../core/change.ts'
import { DPS_CODES, NOMIS_CODES, SYSTEMS } from '../../transforms/codes.ts'
import type { UnifiedTable } from './source-rows.ts'

const SQL = ['dps.sql', 'nomis.sql']
  .map((file) => readFileSync(new URL(`../../schemas/source/${file}`, import.meta.url), 'utf8'))
  .join('\n')

/** Columns that must have a value, by table. */
function neededColumns(table: string): ReadonlySet<string> {
  const body = new RegExp(`CREATE TABLE ${table.replace('.', '\\.')} \\(([^;]*)\\);`).exec(SQL)![1]!
  const names = [...body.matchAll(/^ {2}"?(\w+)"? .*(NOT NULL|PRIMARY KEY)/gm)].map(([, name]) => name!)
  // the legacy tables have it for what was copied before it was: a change of type without the type is refused
  return new Set(table === 'nomis.incident_questionnaire_hty' ? [...names, 'type'] : names)
}

const keys = (codes: ReadonlyMap<string, unknown>) => fc.constantFrom(...codes.keys())

/** By column's end, for DPS and for NOMIS: what the rules decode. */
const CODED: readonly (readonly [RegExp, fc.Arbitrary<string>])[] = [
  [/^public\.(report|history)\.type$/, keys(DPS_CODES.types)],
  [/^public\.(report|status_history)\.status$/, keys(DPS_CODES.statuses)],
  [/^public\.report\.(source|modified_in)$/, keys(SYSTEMS)],
  [/^public\..*\.prisoner_role$/, keys(DPS_CODES.prisonerRoles)],
  [/^public\..*\.outcome$/, keys(DPS_CODES.outcomes)],
  [/^public\..*\.staff_role$/, keys(DPS_CODES.staffRoles)],
  [/^nomis\.(incident_cases\.incident_type|incident_questionnaire_hty\.type)$/, keys(NOMIS_CODES.types)],
  [/^nomis\.incident_cases\.incident_status$/, keys(NOMIS_CODES.statuses)],
  [/^nomis\.incident_case_parties\.outcome_code$/, keys(NOMIS_CODES.outcomes)],
  [/^nomis\..*_flag$/, fc.constantFrom('Y', 'N')],
]

const moment = fc
  .date({ min: new Date('1900-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 23).replace('T', ' '))

const addendum = fc
  .tuple(fc.stringMatching(/^[A-Z][a-z]{1,8}$/), fc.stringMatching(/^[A-Z][a-z]{1,8}$/), fc.string())
  .map(([last, first, text]) => `User:${last},${first} Date:05-JUL-2004 10:15${text}`)

function cell(path: string, type: string): fc.Arbitrary<Value> {
  const coded = CODED.find(([pattern]) => pattern.test(path))
  if (coded !== undefined) return coded[1]
  if (path === 'nomis.incident_cases.incident_details') {
    return fc.tuple(fc.string(), fc.array(addendum, { maxLength: 3 })).map(([text, more]) => text + more.join(''))
  }
  if (type === 'boolean') return fc.boolean()
  if (type === 'uuid') return fc.uuid()
  if (type === 'integer') return fc.nat()
  if (type === 'bigint') return fc.nat(Number.MAX_SAFE_INTEGER)
  if (type === 'date') return moment.map((text) => text.slice(0, 10))
  if (type.startsWith('timestamp(0)')) return moment.map((text) => text.slice(0, 19))
  if (type.startsWith('timestamp')) return moment
  const maxLength = Number(/\((\d+)\)/.exec(type)?.[1] ?? 50)
  return fc.oneof(
    fc.string({ unit: 'binary', maxLength: Math.min(maxLength, 50) }),
    fc.constantFrom('NO DETAILS GIVEN', 'unknown', 'null', '', 'User:').filter((text) => text.length <= maxLength),
  )
}

/** A row with a value for every needed column, and a value or null for the others. */
export function validRow(table: UnifiedTable): fc.Arbitrary<Row> {
  const needed = neededColumns(table)
  const { columns } = SOURCE_TABLES.find(({ schema, name }) => `${schema}.${name}` === table)!
  const cells = columns.map(({ name, type }): [string, fc.Arbitrary<Value>] => {
    const values = cell(`${table}.${name}`, type)
    return [name, needed.has(name) ? values : fc.option(values, { freq: 4 })]
  })
  const row = fc.record(Object.fromEntries(cells)) as fc.Arbitrary<Row>
  if (table !== 'nomis.incident_case_parties') return row
  // which codes a role may have depends on who it is
  return fc
    .tuple(row, keys(NOMIS_CODES.prisonerRoles), keys(NOMIS_CODES.staffRoles))
    .map(([cellsOf, prisoner, staff]) => ({
      ...cellsOf,
      participation_role: (cellsOf['staff_id'] ?? null) === null ? prisoner : staff,
    }))
}
