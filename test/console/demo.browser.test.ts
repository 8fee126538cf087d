/** The demo's console in a real browser: on real data, each act once from end to end. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import {
  describeInBrowser,
  expectInert,
  expectPagesByKeyboard,
  expectPagesWell,
  expectPagesWithoutScript,
  MARKUP,
  openBrowser,
  type Opened,
  visiting,
  WIDTHS,
} from '../support/browser.ts'
import { onDuckDb } from '../../sinks/duckdb.ts'
import { ask, report, switchOver } from '../support/console-acts.ts'
import { enter, follow, tick, write } from '../support/keyboard.ts'
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

let browser: Browser
let demo: DemoConsole
let visit: ReturnType<typeof visiting>

/** What it becomes, while the page is loaded again and again. */
async function comes(page: Page, path: string, text: string | RegExp): Promise<void> {
  await vi.waitFor(
    async () => {
      await page.goto(path)
      expect(await page.locator('main').innerText()).toMatch(text)
    },
    { timeout: 60_000, interval: 500 },
  )
}

async function analysed(sql: string): Promise<unknown[][]> {
  return onDuckDb(demo.analytics, { access_mode: 'READ_ONLY' }, async (connection) =>
    (await connection.runAndReadAll(sql)).getRows(),
  )
}

describeInBrowser('the demo’s console', () => {
  beforeAll(async () => {
    browser = await openBrowser()
    demo = await openDemoConsole({ reports: 12 })
    visit = visiting(browser, demo.url)
  }, 240_000)

  afterAll(async () => {
    await browser?.close()
    await demo?.close()
  })

  afterEach(forgetUnknownRole)

  test('every number of the first page is that of /metrics of the same moment, as a browser shows it', async () => {
    await visit({ as: 'WATCHER' }, async (page) => {
      await vi.waitFor(
        async () => {
          const shown = shownNumbers(await page.locator('#now').innerHTML())
          const told = await (await fetch(demo.metricsUrl)).text()
          expect([...shownNumbers(await page.locator('#now').innerHTML())]).toEqual([...shown])
          expect(shown.size).toBeGreaterThan(20)
          for (const [name, value] of shown) expect(told).toContain(`${name} ${value}\n`)
        },
        { timeout: 60_000, interval: 100 },
      )
    })
  })

  test('a prison is switched over, and a new incident goes all the way into DuckDB and onto its page', async () => {
    await visit({ as: 'ADMINISTRATOR', javaScript: false }, (page) => switchOver(page, 'MDI', 'Moorland begins'))
    const reference = await visit({ as: 'REPORTER' }, (page) => report(page, MARKUP))
    await until(
      async () => (await analysed(`SELECT 1 FROM current_report WHERE reference = '${reference}'`)).length === 1,
    )
    await visit({ as: 'OPERATOR' }, async (page) => {
      await ask(page, `SELECT reference, status FROM current_report WHERE reference = '${reference}'`)
      await page.getByRole('cell', { name: reference }).waitFor()
    })
    await visit({ as: 'REPORTER' }, async (page) => {
      for (const path of [`/incidents/${reference}`, `/incidents/${reference}/amend`, `/incidents?prison=MDI`]) {
        await page.goto(path)
        await page.getByRole('heading', { level: 1 }).waitFor()
        await expectInert(page)
      }
    })
  })

  test('a row that no rule maps is told, tried without effect, and replayed once the rules know it', async () => {
    const mend = await breakOneRow(demo.database)
    await visit({ as: 'OPERATOR' }, async (page) => {
      await comes(page, '/failures', 'Unknown code')
      await follow(page, /^See what today/)
      await page.getByText('Still refused: UNKNOWN_CODE').waitFor()
      await until(() => isRefused(demo.database))
      knowUnknownRole()
      await page.goto('/failures')
      await tick(page, /^\d+\/\d+$/)
      await write(page, 'Why', 'the role is in the tables now')
      await follow(page, 'Replay')
      await page.getByText('Asked for: their rows are read again').waitFor()
      await until(async () => !(await isRefused(demo.database)))
      await page.goto('/')
      expect(await page.locator('main').innerText()).toMatch(
        /OPERATOR\s+Replay dead letters\s+the role is in the tables now/,
      )
      // the rules forget the role again: no row may hang on it
      await mend()
    })
  })

  test('a row that somebody changed in the store is found, named without its value, and repaired', async () => {
    await tamperWithStore(demo.database)
    await visit({ as: 'OPERATOR', javaScript: false }, async (page) => {
      await page.goto('/reconciliation')
      await write(page, 'Why', 'every week')
      await follow(page, 'Compare now')
      await comes(page, '/reconciliation', '1 row differs')
      const [file] = await Promise.all([page.waitForEvent('download'), enter(page, 'Report (JSON)')])
      expect(file.suggestedFilename()).toMatch(/^reconcile-.*\.json$/)
      await follow(page, '1 differs')
      await page.getByRole('cell', { name: 'title', exact: true }).waitFor()
      expect(await page.content()).not.toContain('tampered')
      await write(page, 'Why', 'somebody changed it')
      await follow(page, 'Repair these rows')
      await comes(page, '/reconciliation', 'No row differs')
    })
  })

  test('a table is paused, asked for, seen to wait, and read when it is resumed', async () => {
    await visit({ as: 'OPERATOR', javaScript: false }, async (page) => {
      const act = async (button: string, why: string): Promise<void> => {
        await page.goto('/tables')
        await tick(page, 'public.status_history')
        await write(page, 'Why', why)
        await follow(page, button)
        await page.getByRole('status').waitFor()
      }
      await act('Pause reading', 'the source is busy')
      await comes(page, '/tables', /public\.status_history\s+[^\n]*paused/)
      await act('Read them again', 'after a fix')
      await act('Resume reading', 'it is quiet again')
      await comes(page, '/tables', /public\.status_history\s+[^\n]*done, \d+ rows/)
      await page.goto('/')
      for (const what of ['Pause tables', 'Snapshot tables', 'Resume tables'])
        expect(await page.getByRole('cell', { name: what }).count()).toBe(1)
    })
  })

  test.for(WIDTHS)(
    'every page on real data is well at %i px, says the same without script, and is gone through by keyboard alone',
    async (width) => {
      const [row] = await demo.database.query<{ reference: string }>(
        `SELECT report_reference AS reference FROM public.report WHERE source = 'DPS' ORDER BY id LIMIT 1`,
      )
      const listed = await (await demo.visit('OPERATOR')).get('/contracts')
      const [, contract] = /href="(\/contracts\/[^"]*Report)"/.exec(listed.text)!
      const pages: readonly Opened[] = [
        ['OPERATOR', '/', /behind the prison system/],
        ['OPERATOR', '/tables', /Tables/],
        ['OPERATOR', '/incidents', /Incidents/],
        ['REPORTER', `/incidents/${row!.reference}`, /Incident \d+/],
        ['OPERATOR', '/rollout', /Rollout/],
        ['OPERATOR', '/failures', /Failures/],
        ['OPERATOR', '/reconciliation', /No row differs|rows? differs?|Nothing has been compared/],
        ['OPERATOR', '/contracts', /Contracts/],
        ['OPERATOR', contract!, /Report/],
        ['OPERATOR', '/analyse', /Analyse/],
        ['AUDITOR', '/access', /Access/],
      ]
      await expectPagesWell(visit, width, pages)
      await expectPagesWithoutScript(visit, width, pages)
      await expectPagesByKeyboard(visit, { width, javaScript: width > 600 }, pages)
    },
  )
})
