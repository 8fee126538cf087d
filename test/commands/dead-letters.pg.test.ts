import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { deadLettersList, deadLettersReplay, deadLettersShow, deadLettersSkip } from '../../commands/dead-letters.ts'
import { parseConfig } from '../../config.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { EXIT } from '../../core/error.ts'
import { logger, metrics } from '../../observability.ts'
import { capture, deliver, governed } from '../../pipeline.ts'
import { SINKS } from '../../sinks/names.ts'
import { embeddedRuntime, type Runtime } from '../../runtime.ts'
import { provable } from '../../commands/proving.ts'
import { prove } from '../../proof/proof.ts'
import { NOMIS_CODES } from '../../transforms/codes.ts'
import { seedReports } from '../../workload/load.ts'
import { freePort } from '../../workload/postgres.ts'
import { environmentOf } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { untilRead } from '../support/events.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'

/** NOMIS's test data has this role; no DPS role stands for it (rule codes.prisoner-roles). */
const UNKNOWN = 'DRONE'
const CANARY = 'CanarySurname'

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let config: ReturnType<typeof parseConfig>
let runtime: Runtime
let reference: string
const toClose: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  database = await testDatabase()
  directory = await temporaryDirectory()
  config = parseConfig({ ...environmentOf(database, directory.path, await freePort()), LOG_LEVEL: 'silent' })
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await seedReports(client, { seed: 1, reports: 5 })
  await client.end()
  const [incident] = await database.query<{ id: string }>(
    'SELECT incident_case_id::text AS id FROM nomis.incident_cases WHERE incident_case_id < 10000000 ORDER BY 1 LIMIT 1',
  )
  reference = incident!.id
  runtime = await embeddedRuntime({ config, log: logger('silent'), metrics: metrics() })
  toClose.push(() => runtime.transport.close())
  running(capture)
  running(governed)
  for (const sink of SINKS) running((opened, signal) => deliver(opened, sink, signal))
  await read()
  await database.query(
    `UPDATE nomis.incident_case_parties SET participation_role = $1, last_name = $2
     WHERE incident_case_id = $3 AND party_seq = (SELECT min(party_seq) FROM nomis.incident_case_parties WHERE incident_case_id = $3)`,
    [UNKNOWN, CANARY, reference],
  )
  await read()
})

afterEach(async () => {
  ;(NOMIS_CODES.prisonerRoles as Map<string, string>).delete(UNKNOWN)
  ;(NOMIS_CODES.staffRoles as Map<string, string>).delete(UNKNOWN)
  for (const close of toClose.splice(0).reverse()) await close()
  await database.drop()
  await directory.remove()
})

/** A stage in this process; it ends with the test. What goes wrong before that fails the test. */
function running(stage: (runtime: Runtime, signal: AbortSignal) => Promise<void>): void {
  const stop = new AbortController()
  const failures: unknown[] = []
  const ended = stage(runtime, stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) failures.push(error)
  })
  toClose.push(async () => {
    stop.abort()
    await ended
    expect(failures).toEqual([])
  })
}

function read(): Promise<void> {
  return untilRead(runtime, database, ['unify', ...SINKS])
}

/** A command's exit code and what it printed. */
async function told(command: () => Promise<number>): Promise<{ code: number; out: string }> {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
  try {
    const code = await command()
    return { code, out: write.mock.calls.map(([text]) => String(text)).join('') }
  } finally {
    write.mockRestore()
  }
}

async function incomplete(): Promise<string[]> {
  const rows = await database.query<{ reference: string }>('SELECT reference FROM prisons.incidents_incomplete')
  return rows.map((row) => row.reference)
}

/** The parties of the incident in the store, and in the source. */
async function parties(): Promise<{ stored: number; source: number }> {
  const [row] = await database.query<{ stored: number; source: number }>(
    `SELECT (SELECT count(*) FROM (SELECT 1 FROM prisons.incidents_prisoner_involvement WHERE reference = $1
             UNION ALL SELECT 1 FROM prisons.incidents_staff_involvement WHERE reference = $1) s)::int AS stored,
            (SELECT count(*) FROM nomis.incident_case_parties WHERE incident_case_id = $1::int)::int AS source`,
    [reference],
  )
  return row!
}

/** No row differs in any place, and none is missing as refused. */
async function expectEqualPlaces(): Promise<void> {
  const proof = await prove(await provable(runtime))
  expect(proof.places.filter(({ differing }) => differing > 0)).toEqual([])
  expect(proof.incomplete).toBe(0)
}

/** As a release that knows the code: the tables are the rules' own. */
function releaseKnowsTheCode(): void {
  ;(NOMIS_CODES.prisonerRoles as Map<string, string>).set(UNKNOWN, 'PERPETRATOR')
  ;(NOMIS_CODES.staffRoles as Map<string, string>).set(UNKNOWN, 'WITNESS')
}

describe('dead letters', () => {
  test('list groups by code, show has the remedy and the origin, and neither has a cell', async () => {
    const list = await told(() => deadLettersList(config, { json: true }))
    const { groups, letters } = JSON.parse(list.out) as {
      groups: object[]
      letters: { id: string; position: string }[]
    }
    expect(groups).toEqual([
      {
        code: 'UNKNOWN_CODE',
        letters: 1,
        skipped: 0,
        firstSeen: expect.stringMatching(/^20.*Z$/),
        lastSeen: expect.stringMatching(/^20.*Z$/),
        incidents: [reference],
      },
    ])
    const { out, code } = await told(() => deadLettersShow(config, letters[0]!.id, { json: true }))
    expect(code).toBe(EXIT.done)
    expect(JSON.parse(out)).toMatchObject({
      code: 'UNKNOWN_CODE',
      topic: runtime.raw.name,
      reference,
      table: 'incident_case_parties',
      position: letters[0]!.position,
      remedy: expect.stringContaining('replay'),
      skipped: null,
    })
    const texts = [list.out, out]
    for (const command of [
      () => deadLettersList(config, {}),
      () => deadLettersShow(config, letters[0]!.id, {}),
      () => deadLettersReplay(config, [], { dryRun: true }),
    ]) {
      texts.push((await told(command)).out)
    }
    for (const text of texts) {
      expect(text).not.toContain(CANARY)
      expect(text).not.toContain(UNKNOWN)
    }
    await expect(deadLettersShow(config, '0/999999', {})).rejects.toMatchObject({ code: 'CONFIG' })
  })

  test('replay after the rules were mended brings the row back, and the incident is complete again', async () => {
    expect(await incomplete()).toEqual([reference])
    const before = await parties()
    expect(before.stored).toBe(before.source - 1)
    const refused = await told(() => deadLettersReplay(config, [], { dryRun: true, json: true }))
    expect(refused.code).toBe(EXIT.difference)
    expect(JSON.parse(refused.out)).toMatchObject({
      results: [{ result: { outcome: 'refused', code: 'UNKNOWN_CODE' } }],
      requests: [],
    })

    releaseKnowsTheCode()
    const mapped = await told(() => deadLettersReplay(config, [], { dryRun: true, json: true }))
    expect(mapped.code).toBe(EXIT.done)
    expect(JSON.parse(mapped.out)).toMatchObject({
      results: [{ result: { outcome: 'mapped', rows: [{ op: 'upsert', id: expect.any(String) }] } }],
      requests: [],
    })
    await read()
    expect(await incomplete()).toEqual([reference]) // dry is dry

    const replayed = await told(() => deadLettersReplay(config, [], { json: true }))
    expect(JSON.parse(replayed.out)).toMatchObject({ requests: [{ table: 'nomis.incident_case_parties', rows: 1 }] })
    await vi.waitFor(async () => expect(await incomplete()).toEqual([]), { timeout: 30_000, interval: 200 })
    const after = await parties()
    expect(after.stored).toBe(after.source)
    await read()
    await expectEqualPlaces()
  })

  test('an update that mends the row does it without a command', async () => {
    await database.query(
      `UPDATE nomis.incident_case_parties SET participation_role = CASE WHEN staff_id IS NULL THEN 'VICT' ELSE 'WIT' END
       WHERE participation_role = $1`,
      [UNKNOWN],
    )
    await read()
    expect(await incomplete()).toEqual([])
    const { stored, source } = await parties()
    expect(stored).toBe(source)
    await expectEqualPlaces()
  })

  test('skip is recorded with who and why beside the running pipeline, and the incident stays incomplete', async () => {
    const [letter] = (
      JSON.parse((await told(() => deadLettersList(config, { json: true }))).out) as {
        letters: { id: string }[]
      }
    ).letters
    await told(() => deadLettersSkip(config, letter!.id, { by: 'ops1', reason: 'test data of NOMIS', json: true }))
    const { out } = await told(() => deadLettersShow(config, letter!.id, { json: true }))
    expect(JSON.parse(out)).toMatchObject({ skipped: expect.stringMatching(/^by ops1 at 20.*Z: test data of NOMIS$/) })
    const list = JSON.parse((await told(() => deadLettersList(config, { json: true }))).out) as object
    expect(list).toMatchObject({ groups: [{ letters: 1, skipped: 1 }] })
    expect(await incomplete()).toEqual([reference])
    const all = JSON.parse(
      (await told(() => deadLettersReplay(config, [], { dryRun: true, json: true }))).out,
    ) as object
    expect(all).toMatchObject({ results: [] }) // given up: only by name

    // the pipeline goes on writing letters into the same topic
    await database.query(`UPDATE nomis.incident_case_parties SET participation_role = $1 WHERE incident_case_id = $2`, [
      UNKNOWN,
      reference,
    ])
    await read()
    const later = JSON.parse((await told(() => deadLettersList(config, { json: true }))).out) as { letters: object[] }
    expect(later.letters.length).toBeGreaterThan(1)
  })
})
