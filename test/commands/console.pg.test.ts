import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import {
  breakOneRow,
  forgetUnknownRole,
  isRefused,
  knowUnknownRole,
  openDemoConsole,
  shownNumbers,
  tamperWithStore,
  until,
  type DemoConsole,
} from '../support/console-demo.ts'
import type { Visit } from '../support/visit.ts'

let demo: DemoConsole
let operator: Visit

beforeAll(async () => {
  demo = await openDemoConsole({ reports: 5 })
  operator = await demo.visit('OPERATOR')
})

afterAll(() => demo?.close())
afterEach(forgetUnknownRole)

async function words(path: string): Promise<string> {
  return (await operator.get(path)).words
}

/** Sends a form of the page, as it has it. */
async function act(path: string, form: Record<string, string>, from = path): Promise<void> {
  expect((await operator.send(path, form, from)).status).toBe(200)
}

test('every number of the first page is that of /metrics of the same moment', async () => {
  await vi.waitFor(
    async () => {
      const shown = shownNumbers((await operator.get('/')).text)
      const told = await (await fetch(demo.metricsUrl)).text()
      const again = shownNumbers((await operator.get('/')).text)
      // no sample was taken in between
      expect([...again]).toEqual([...shown])
      expect(shown.size).toBeGreaterThan(20)
      for (const [name, value] of shown) expect(told).toContain(`${name} ${value}\n`)
    },
    { timeout: 30_000, interval: 100 },
  )
})

test('a dead letter is shown, rehearsed, and after the rules know its code replayed, with who and why', async () => {
  const mend = await breakOneRow(demo.database)
  await until(async () => (await words('/failures')).includes('Unknown code') && (await isRefused(demo.database)))
  const rehearse = async (): Promise<string> => (await operator.send('/failures', { act: 'rehearse' })).words
  expect(await rehearse()).toContain('Still refused: UNKNOWN_CODE')
  knowUnknownRole()
  expect(await rehearse()).toContain('Would give upsert')
  await act('/failures', { act: 'replay', reason: 'the role is in the tables now' })
  await until(async () => !(await isRefused(demo.database)))
  const page = await words('/')
  expect(page).toContain('Replay dead letters')
  expect(page).toContain('the role is in the tables now')
  // the rules forget the role again: no row may hang on it, and no reader may be on its way to it
  await mend()
  await demo.settled()
})

test('a group of letters that nobody will mend is skipped, and says by whom and why', async () => {
  const mend = await breakOneRow(demo.database)
  const path = '/failures?code=UNKNOWN_CODE'
  await until(async () => /to all [1-9]\d* that are open in this group/.test(await words(path)))
  await act('/failures', { act: 'skip', reason: 'too old to mend' }, path)
  await until(async () => (await words(path)).includes('Skipped by OPERATOR: too old to mend'))
  expect(await words(path)).toContain('to all 0 that are open')
  expect(await words('/')).toMatch(/OPERATOR Skip dead letters too old to mend/)
  await mend()
})

/** `row …; topic …, partition …, offset …` and behind it `DPR: file, row …; analytics: file, row …`, change by change. */
const LINEAGE =
  /row \S+; topic (?:\S+ )?partition (\d+), offset (\d+)[^.]*?(?:stored in \S+|followed by a newer change of the same row) DPR: (\S+\.parquet), row \d+; analytics: (\S+), (?:table \S+, )?row \d+/g

test('each change of an incident names its record in the topic, and its file and row in DPR and in analytics', async () => {
  const [row] = await demo.database.query<{ reference: string }>(
    `SELECT report_reference AS reference FROM public.report WHERE source = 'DPS' ORDER BY id LIMIT 1`,
  )
  const { reference } = row!
  // two changes: of the first, too, there is a record
  for (const title of ['Once', 'Twice'])
    await demo.database.query(`UPDATE public.report SET title = $1 WHERE report_reference = $2`, [title, reference])
  await vi.waitFor(
    async () => {
      const page = await operator.get(`/incidents/${reference}?files`)
      const changes = page.words.match(/Position \d{4}\//g) ?? []
      expect(page.words.match(/Report changed/g)).toHaveLength(2)
      const found = [...page.words.matchAll(LINEAGE)]
      expect(found, page.words.slice(page.words.indexOf('What happened, and'))).toHaveLength(changes.length)
      // each change has a record of its own
      expect(new Set(found.map(([, partition, offset]) => `${partition}/${offset}`)).size).toBe(changes.length)
    },
    { timeout: 45_000, interval: 1_000 },
  )
})

test('a row that differs in the store is found with its columns, and repaired', async () => {
  await tamperWithStore(demo.database)
  await act('/reconciliation', { act: 'reconcile', reason: 'a test' })
  await until(async () => (await words('/reconciliation')).includes('1 row differs'))
  const path = '/reconciliation/rows?place=operational&entity=Report'
  const rows = await operator.get(path)
  expect(rows.text).toContain('title')
  expect(rows.text).not.toContain('tampered')
  await act('/reconciliation', { act: 'repair', reason: 'it was tampered with' }, path)
  await until(async () => (await words('/reconciliation')).includes('No row differs'))
  expect((await operator.get('/reconciliation/report?form=json')).text).toContain('incidents-reconciliation-1')
})
