import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { contractsCheck, contractsDiff, contractsPublish } from '../../commands/contracts.ts'
import { parseConfig, type Config } from '../../config.ts'
import { EXIT } from '../../core/error.ts'
import { contracts } from '../../schemas/contracts.ts'
import { clearances, type Clearances } from '../../schemas/policy/clearances.ts'
import { localRegistry } from '../../schemas/registry-local.ts'
import { stubRegistry } from '../support/stub-registry.ts'

let directory: string
let config: Config

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'incidents-contracts-'))
  config = parseConfig({ STATE_DIR: directory })
})
afterEach(() => rmSync(directory, { recursive: true }))

async function told(command: () => Promise<number>): Promise<{ code: number; out: string }> {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
  try {
    const code = await command()
    return { code, out: write.mock.calls.map(([text]) => String(text)).join('') }
  } finally {
    write.mockRestore()
  }
}

const REPORT = 'incidents.unified-uk.gov.justice.incidents.Report'

describe('publish', () => {
  test('registers every contract in the registry of the state directory', async () => {
    const { code, out } = await told(() => contractsPublish(config, { json: true }))
    expect(code).toBe(EXIT.done)
    const { published } = JSON.parse(out) as { published: { subject: string; level: string }[] }
    expect(published).toHaveLength(contracts().length)
    expect(new Set(published.map(({ level }) => level))).toEqual(new Set(['FULL_TRANSITIVE']))
    expect((await told(() => contractsCheck(config, {}))).code).toBe(EXIT.done)
  })

  test.each(['confluent', 'apicurio'] as const)(
    'on a registry like %s’s it raises a level that is too low, and lowers none',
    async (kind) => {
      const registry = await stubRegistry(kind)
      try {
        registry.levels.set(REPORT, 'BACKWARD')
        const remote = { ...config, SCHEMA_REGISTRY_URL: registry.url }
        await told(() => contractsPublish(remote, {}))
        expect([...registry.levels.values()]).toEqual(contracts().map(() => 'FULL_TRANSITIVE'))
        const puts = registry.requests.filter((each) => each.startsWith('PUT')).length
        await told(() => contractsPublish(remote, {}))
        expect(registry.requests.filter((each) => each.startsWith('PUT'))).toHaveLength(puts)
        const { code, out } = await told(() => contractsCheck(remote, { json: true }))
        expect([code, JSON.parse(out)]).toMatchObject([EXIT.done, { findings: [] }])
      } finally {
        await registry.close()
      }
    },
  )
})

describe('check', () => {
  test('names contract, version, field and consumers of what was published otherwise; exit 6', async () => {
    const report = contracts().find(({ name }) => name === 'Report')!.schema as unknown as {
      type: string
      fields: readonly { name: string }[]
    }
    const other = { ...report, fields: report.fields.filter(({ name }) => name !== 'completed') }
    await localRegistry(directory).register(REPORT, other, 'FULL_TRANSITIVE')
    const { code, out } = await told(() => contractsCheck(config, {}))
    expect(code).toBe(EXIT.contract)
    expect(out).toMatch(
      /schemas\/governed\/Report\.avsc against registry version 1: .*field completed.*Breaks Analytical Platform\./,
    )
  })
})

describe('diff', () => {
  const before = (change: (all: Record<string, Record<string, Record<string, string>>>) => void): Clearances => {
    const all = structuredClone(clearances()) as Record<string, Record<string, Record<string, string>>>
    change(all)
    return all
  }

  test('says which field appears, vanishes or changes in which output, and who reads it; exit 1', async () => {
    const against = before((all) => {
      delete all['operational']!['PrisonerInvolvement']!['prisonerNumber']
      all['unified']!['Report']!['titleLength'] = 'string, freeText'
      all['analytics']!['Report']!['old'] = 'string, code'
    })
    const { code, out } = await told(() => contractsDiff(config, { against }))
    expect(code).toBe(EXIT.difference)
    expect(out.split('\n')).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^operational {2}PrisonerInvolvement\.prisonerNumber {2}appears .*; read by CatTool$/),
        expect.stringMatching(/^unified {2}Report\.titleLength {2}changes from .* to .*; read by Analytical Platform$/),
        expect.stringMatching(/^analytics {2}Report\.old {2}vanishes \(string, code\)$/),
      ]),
    )
  })

  test('of the same is nothing; exit 0', async () => {
    const { code, out } = await told(() => contractsDiff(config, { against: clearances(), json: true }))
    expect([code, JSON.parse(out)]).toMatchObject([EXIT.done, { differences: [] }])
  })
})
