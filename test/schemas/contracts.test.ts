import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { contractHistory } from '../../proof/contract-history.ts'
import { changelog, unlisted } from '../../schemas/changelog.ts'
import { CONSUMERS, readersOf, readersOfField } from '../../schemas/consumers.ts'
import { checkContract, distinct } from '../../schemas/contract-check.ts'
import { contractDigest, contracts, subjectOf, type Contract } from '../../schemas/contracts.ts'
import { clearances, differences, type Clearances } from '../../schemas/policy/clearances.ts'
import { localRegistry } from '../../schemas/registry-local.ts'
import type { AvroSchema } from '../../schemas/registry.ts'
import { topics } from '../../transport/topics.ts'

const directory = mkdtempSync(join(tmpdir(), 'incidents-contracts-'))
afterAll(() => rmSync(directory, { recursive: true }))

const report = contracts().find(({ name }) => name === 'Report')!

interface Fields {
  readonly type: string
  readonly fields: readonly { readonly name: string; readonly type: unknown }[]
}

/** The contract with its fields changed. */
function changed(change: (fields: Fields['fields']) => readonly object[]): Contract {
  const schema = report.schema as unknown as Fields
  return { ...report, schema: { ...schema, fields: change(schema.fields) } as AvroSchema }
}

describe('a contract against its earlier versions', () => {
  const earlier = [{ origin: 'commit abc', schema: report.schema }]

  test.each([
    ['a field is gone', changed((fields) => fields.filter(({ name }) => name !== 'reference')), 'reference'],
    [
      'a field is of another type',
      changed((fields) => fields.map((field) => (field.name === 'status' ? { ...field, type: 'int' } : field))),
      'status',
    ],
    ['a field without a default is new', changed((fields) => [...fields, { name: 'added', type: 'string' }]), 'added'],
  ])('%s: what, and whom it breaks', (_, contract, field) => {
    const [finding, ...more] = checkContract(contract, earlier, 'incidents.unified')
    expect(more).toEqual([])
    expect(finding).toMatchObject({
      contract: 'Report',
      with: 'commit abc',
      fields: [field],
      breaks: ['Analytical Platform'],
    })
    expect(finding!.reason).toContain(`field ${field}`)
    expect(finding!.reason).toContain('commit abc')
  })

  test('a field with a default more is found fault with by nobody', () => {
    const contract = changed((fields) => [...fields, { name: 'added', type: ['null', 'string'], default: null }])
    expect(checkContract(contract, earlier, 'incidents.unified')).toEqual([])
  })

  test('each version counts once, a withdrawn one never', () => {
    const other = changed((fields) => fields.slice(1)).schema
    const versions = [
      ...earlier,
      { origin: 'registry version 1', schema: report.schema },
      { origin: 'x', schema: other },
    ]
    expect(distinct('Report', versions, new Set()).map(({ origin }) => origin)).toEqual(['commit abc', 'x'])
    expect(distinct('Report', versions, new Set([`Report ${contractDigest(other)}`]))).toHaveLength(1)
  })
})

describe('the repository', () => {
  test('every contract goes together with every version of it in git that was not withdrawn', async () => {
    const history = await contractHistory()
    expect(history.missing ?? 'git').toMatch(/git/)
    const { withdrawn } = changelog()
    for (const contract of contracts()) {
      const versions = (await history.versions(contract.file)).map(({ commit, text }) => ({
        origin: commit,
        schema: JSON.parse(text) as AvroSchema,
      }))
      expect(checkContract(contract, distinct(contract.name, versions, withdrawn), 'incidents.unified')).toEqual([])
    }
  })

  test('without git it says so', async () => {
    const history = await contractHistory(directory)
    expect(history.missing).toContain(directory)
    expect(await history.versions('x')).toEqual([])
    expect(await history.committed('x')).toBeNull()
  })

  test('the changelog names the version of each contract that lies here', () => {
    expect(unlisted()).toEqual([])
    const without = changelog(
      readFileSync(new URL('../../schemas/CHANGELOG.md', import.meta.url), 'utf8').replace(/^\| Report .*\n/m, ''),
    )
    expect(unlisted(without)).toEqual([expect.stringContaining('schemas/governed/Report.avsc')])
  })

  test('a digest leaves docs out, and nothing else', () => {
    const { schema } = report
    expect(contractDigest({ ...(schema as unknown as Fields), doc: 'other' })).toBe(contractDigest(schema))
    expect(contractDigest(changed((fields) => fields.slice(1)).schema)).not.toBe(contractDigest(schema))
  })

  test('subjects are topic and record name', () => {
    expect(subjectOf(report, topics('here'))).toBe('here.unified-uk.gov.justice.incidents.Report')
  })
})

describe('consumers', () => {
  test('read only what is there', () => {
    const held = clearances()
    const names = topics('incidents')
    for (const { consumer, reads } of CONSUMERS) {
      for (const { from, fields } of reads) {
        for (const [record, read] of Object.entries(fields)) {
          const contract = contracts().find((each) => each.name === record && names[each.topic].name === from)
          const there = contract === undefined ? held[from]?.[record] : fieldsOf(contract)
          expect(there, `${consumer} reads ${record} of ${from}`).toBeDefined()
          expect(
            read.filter((field) => field !== '*' && !(field in there!)),
            consumer,
          ).toEqual([])
        }
      }
    }
  })

  function fieldsOf({ schema }: Contract): object {
    return Object.fromEntries((schema as unknown as Fields).fields.map(({ name }) => [name, true]))
  }

  test('are found by record and by field', () => {
    expect(CONSUMERS.map(({ consumer }) => consumer)).toEqual([
      'DPR',
      'Analytical Platform',
      'SDT',
      'Performance Hub',
      'CatTool',
    ])
    expect(readersOf('incidents.events', 'IncidentEvent')).toEqual(['Analytical Platform'])
    expect(readersOfField('analytics', 'Report', 'completed')).toEqual(['Performance Hub'])
    expect(readersOfField('operational', 'PrisonerInvolvement', 'prisonerNumber')).toEqual(['CatTool'])
    expect(readersOfField('dpr-raw', 'public.report', 'whatever is there')).toEqual(['DPR'])
  })
})

describe('what every output holds', () => {
  test('differences are what appears, what vanishes, and what changes', () => {
    const before = clearances()
    const after = structuredClone(before) as Record<string, Record<string, Record<string, string>>>
    delete after['analytics']!['Report']!['location']
    after['unified']!['PrisonerInvolvement']!['firstName'] = 'string or null, name'
    after['operational']!['Report']!['title'] = 'string or null, name'
    expect(differences(before, after as Clearances)).toEqual([
      expect.objectContaining({
        output: 'unified',
        entity: 'PrisonerInvolvement',
        field: 'firstName',
        change: 'appears',
      }),
      expect.objectContaining({ output: 'operational', entity: 'Report', field: 'title', change: 'changes' }),
      expect.objectContaining({ output: 'analytics', entity: 'Report', field: 'location', change: 'vanishes' }),
    ])
    expect(differences(before, clearances())).toEqual([])
  })

  test('in DPR’s tables every classified column stands with its kind', () => {
    expect(clearances()['dpr-raw']!['public.prisoner_involvement']).toMatchObject({
      id: 'key',
      prisoner_number: 'prisonerNumber',
      comment: 'freeText',
    })
  })
})

describe('a registry tells what it holds', () => {
  test('versions oldest first, and the level, which is never lowered', async () => {
    const registry = localRegistry(directory)
    const second = changed((fields) => [...fields, { name: 'added', type: ['null', 'string'], default: null }]).schema
    expect(await registry.versions('s')).toEqual([])
    expect(await registry.level('s')).toBeNull()
    await registry.register('s', report.schema, 'FULL_TRANSITIVE')
    await registry.register('s', second, 'BACKWARD_TRANSITIVE')
    expect(await localRegistry(directory).versions('s')).toEqual([report.schema, second])
    expect(await registry.level('s')).toBe('FULL_TRANSITIVE')
  })
})
