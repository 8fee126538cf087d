import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ring } from '../../console/ring.ts'
import {
  describeInBrowser,
  expectPagesWell,
  expectPagesWithoutScript,
  expectWell,
  openBrowser,
  type Opened,
  tabTo,
  visiting,
  WIDTHS,
} from '../support/browser.ts'
import type { Visitor } from '../support/visitor.ts'
import { startConsole, type TestConsole } from '../support/console.ts'
import { fakeOperations, pipelinePages, sampleAt } from '../support/operations.ts'

const PAGES: readonly Opened[] = [
  ['OPERATOR', '/', /Data is 1.2 seconds behind/],
  ['OPERATOR', '/tables', /Tables/],
  ['OPERATOR', '/failures', /Failures/],
  ['OPERATOR', '/failures?code=UNKNOWN_CODE', /Unknown code/],
  ['OPERATOR', '/reconciliation', /1 rows differ/],
  ['OPERATOR', '/reconciliation/rows?place=operational&entity=Report', /1 rows of Report differ in operational/],
  ['OPERATOR', '/contracts', /Contracts/],
  ['OPERATOR', '/contracts/incidents.unified-Report', /Report/],
]

let browser: Browser
let served: TestConsole
const operations = fakeOperations()

const visit = (options: Visitor, work: (page: Page) => Promise<void>, url = served.url): Promise<void> =>
  visiting(browser, url)({ as: 'OPERATOR', ...options }, work)

describeInBrowser('the pages of the pipeline', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    browser = await openBrowser()
    served = await startConsole({ pages: pipelinePages(operations) })
  })

  afterAll(async () => {
    await browser?.close()
    await served?.close()
  })

  test.for(WIDTHS)('break no rule of WCAG 2.2 AA, fit, and let no markup run, at %i px', async (width) => {
    await expectPagesWell(visiting(browser, served.url), width, PAGES)
  })

  test.for(WIDTHS)('say the same without script at %i px', async (width) => {
    await expectPagesWithoutScript(visiting(browser, served.url), width, PAGES)
  })

  test('a dead letter is replayed by keyboard alone, with the reason that was typed', async () => {
    await visit({}, async (page) => {
      await page.goto('/failures')
      await tabTo(page, '3/7')
      await page.keyboard.press('Space')
      await tabTo(page, 'Why')
      await page.keyboard.type('the code was added')
      await tabTo(page, 'Replay')
      await page.keyboard.press('Enter')
      await page.getByText('Asked for: their rows are read again').waitFor()
      expect(operations.calls).toContainEqual([
        'replay',
        ['3/7'],
        { username: 'OPERATOR', reason: 'the code was added' },
      ])
    })
  })

  test('whoever may only look finds no act to do', async () => {
    await visit({ as: 'WATCHER' }, async (page) => {
      for (const path of ['/tables', '/failures', '/reconciliation']) {
        await page.goto(path)
        expect(await page.getByLabel('Why').count()).toBe(0)
      }
    })
  })

  test('the first page loads at most 100 kB of script', async () => {
    await visit({}, async (page) => {
      let bytes = 0
      page.on('response', (response) => {
        if (!response.url().endsWith('.js')) return
        bytes += Number(response.headers()['content-length'] ?? Infinity)
      })
      await page.goto('/', { waitUntil: 'networkidle' })
      expect(bytes).toBeGreaterThan(0)
      expect(bytes).toBeLessThanOrEqual(100_000)
    })
  })

  test('a pipeline that is down says since when, and what still holds; one without data says that too', async () => {
    const down = ring()
    down.add(sampleAt(1_800_000_000_000, { capture: { state: 'down', says: 'Nobody reads the slot.' } }))
    down.add(sampleAt(1_800_000_060_000, { capture: { state: 'down', says: 'Nobody reads the slot.' } }))
    const away = () => Promise.reject(new Error('away'))
    const stopped = await startConsole({
      pages: pipelinePages(
        fakeOperations({ pipeline: () => down, events: away, tables: away, failures: away, contracts: away }),
      ),
    })
    const empty = await startConsole({
      pages: pipelinePages(
        fakeOperations({
          pipeline: () => ring(),
          events: async () => [],
          tables: async () => ({ known: false, tables: [] }),
          failures: async () => ({ letters: [], groups: [] }),
          reconciliation: () => ({ running: null, failed: null, results: [] }),
        }),
      ),
    })
    try {
      await visit(
        {},
        async (page) => {
          await page.getByText('Capture: down since 15 January 2027 at 08:00:00').waitFor()
          await page.getByText('The source keeps its WAL until capture is back').waitFor()
          for (const [path, says] of [
            ['/tables', /does not answer/],
            ['/failures', /cannot be read/],
            ['/contracts', /registry does not answer/],
          ] as const) {
            await page.goto(path)
            await page.getByText(says).waitFor()
            await expectWell(page, /./)
          }
        },
        stopped.url,
      )
      await visit(
        {},
        async (page) => {
          await expectWell(page, /Nothing has been measured yet/)
          for (const [path, says] of [
            ['/tables', /No table is published/],
            ['/failures', /there are no dead letters/],
            ['/reconciliation', /Nothing has been compared yet/],
          ] as const) {
            await page.goto(path)
            await page.getByText(says).waitFor()
            await expectWell(page, /./)
          }
        },
        empty.url,
      )
    } finally {
      await stopped.close()
      await empty.close()
    }
  })
})
