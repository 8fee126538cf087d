import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { consolePages } from '../../console/pages/all.ts'
import { ring } from '../../console/ring.ts'
import {
  describeInBrowser,
  expectPagesByKeyboard,
  expectPagesWell,
  expectPagesWithoutScript,
  expectWell,
  openBrowser,
  type Opened,
  SCREENS,
  visiting,
  WIDTHS,
} from '../support/browser.ts'
import type { Visitor } from '../support/visitor.ts'
import { startConsole, type TestConsole } from '../support/console.ts'
import { enter, follow } from '../support/keyboard.ts'
import { keyboardFaults } from '../support/keyboard-walk.ts'
import { fakeOperations, pipelinePages, sampleAt } from '../support/operations.ts'

const PAGES: readonly Opened[] = [
  ['OPERATOR', '/', /Data is 1.2 seconds behind/],
  ['OPERATOR', '/tables', /Tables/],
  ['OPERATOR', '/failures', /Failures/],
  ['OPERATOR', '/failures?code=UNKNOWN_CODE', /Unknown code/],
  ['OPERATOR', '/reconciliation', /1 row differs/],
  ['OPERATOR', '/reconciliation/rows?place=operational&entity=Report', /1 row of Report differs in operational/],
  ['OPERATOR', '/contracts', /Contracts/],
  ['OPERATOR', '/contracts/incidents.unified-Report', /Report/],
]

/** The numbers of the first page: told by a metric, drawn in the map, and beside both, but for its time and positions. */
const NUMBERS = `(() => {
  const now = document.getElementById('now')
  const numbers = (text) => text.replaceAll(/[0-9A-F]+[/][0-9A-F]+|As of .*?[.]/g, '').match(/[0-9][0-9.,]*/g) ?? []
  const told = [...now.querySelectorAll('data')].flatMap(({ textContent }) => numbers(textContent))
  const map = [...now.querySelectorAll('svg text')].flatMap(({ textContent }) => numbers(textContent.replace(/,( |$)/g, ' ')))
  for (const one of now.querySelectorAll('data, svg')) one.remove()
  return { told, map, beside: numbers(now.textContent) }
})()`

let browser: Browser
let served: TestConsole
const operations = fakeOperations()

const visit = (options: Visitor, work: (page: Page) => Promise<void>, url = served.url): Promise<void> =>
  visiting(browser, url)({ as: 'OPERATOR', ...options }, work)

describeInBrowser('the pages of the pipeline', () => {
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

  test.for(SCREENS)('are gone through by keyboard alone at $width px, script $javaScript', async (screen) => {
    await expectPagesByKeyboard(visiting(browser, served.url), screen, [
      ...PAGES,
      ['OPERATOR', '/nowhere', /Page not found/],
    ])
  })

  test('without script a menu is not needed on a phone; with script the keyboard opens it', async () => {
    await visit({ width: 375 }, async (page) => {
      await page.goto('/')
      expect(await page.getByRole('link', { name: 'Tables' }).count()).toBe(0)
      await enter(page, 'Pages')
      expect(await keyboardFaults(page)).toEqual([])
      await follow(page, 'Tables')
      await page.getByRole('heading', { level: 1, name: 'Tables' }).waitFor()
    })
    await visit({ width: 375, javaScript: false }, async (page) => {
      await page.goto('/')
      await follow(page, 'Tables')
      await page.getByRole('heading', { level: 1, name: 'Tables' }).waitFor()
    })
  })

  test('no number of the first page stands beside those that /metrics tells', async () => {
    await visit({}, async (page) => {
      await page.goto('/?still')
      const { told, map, beside } = await page.evaluate<Record<'told' | 'map' | 'beside', string[]>>(NUMBERS)
      expect(told.length).toBeGreaterThan(20)
      expect(beside).toEqual([])
      expect(map.length).toBeGreaterThan(20)
      expect(map.filter((number) => !told.includes(number))).toEqual([])
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
      pages: consolePages(
        fakeOperations({ pipeline: () => down, events: away, tables: away, failures: away, contracts: away }),
        { file: '/nowhere', questions: [] },
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
            ['/incidents', /The API does not answer/],
            ['/incidents/10000001', /The API does not answer/],
            ['/rollout', /The API does not answer/],
            ['/access', /The API does not answer/],
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
