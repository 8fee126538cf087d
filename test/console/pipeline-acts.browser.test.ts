/** The acts on the pipeline's pages in a real browser, by keyboard alone. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ReconciliationNow } from '../../console/reconciliation.ts'
import { describeInBrowser, expectWell, MARKUP, openBrowser, visiting } from '../support/browser.ts'
import { startConsole, type TestConsole } from '../support/console.ts'
import { follow, tabTo, tick, write } from '../support/keyboard.ts'
import { keyboardFaults } from '../support/keyboard-walk.ts'
import { fakeOperations, pipelinePages } from '../support/operations.ts'
import type { Visitor } from '../support/visitor.ts'

const TABLE = `public.${MARKUP}`
const REHEARSE = 'See what today’s rules make of them'

/** Page, what is ticked, the button, and what the pipeline is asked for. */
const ACTS: readonly (readonly [path: string, what: readonly (string | RegExp)[], button: string, asked: unknown[]])[] =
  [
    ['/tables', [/^public/], 'Read them again', ['snapshot', [TABLE]]],
    ['/tables', [/^public/], 'Pause reading', ['hold', [TABLE], 'pause']],
    ['/tables', [/^public/], 'Resume reading', ['hold', [TABLE], 'resume']],
    ['/failures', ['3/7'], REHEARSE, ['rehearse', ['3/7']]],
    ['/failures', ['3/7'], 'Replay', ['replay', ['3/7']]],
    ['/failures', [], 'Skip', ['skip', ['3/7']]],
    ['/failures?code=UNKNOWN_CODE', [], 'Replay', ['replay', ['3/7']]],
    ['/reconciliation', [], 'Compare now', ['reconcile']],
    ['/reconciliation', [], 'Repair everything', ['repair', null]],
    [
      '/reconciliation/rows?place=operational&entity=Report',
      [],
      'Repair these rows',
      ['repair', { place: 'operational', entity: 'Report' }],
    ],
  ]

/** What has the focus, and whether it is scrolled to its right end. */
const STANDS = `(({ ariaLabel, scrollLeft, clientWidth, scrollWidth }) =>
  [ariaLabel, scrollLeft > 0 && scrollLeft + clientWidth > scrollWidth - 2])(document.activeElement)`

let browser: Browser
let served: TestConsole
const operations = fakeOperations()

const visit = (options: Visitor, work: (page: Page) => Promise<void>, url = served.url): Promise<void> =>
  visiting(browser, url)({ as: 'OPERATOR', ...options }, work)

describeInBrowser('acts on the pipeline', () => {
  beforeAll(async () => {
    browser = await openBrowser()
    served = await startConsole({ pages: pipelinePages(operations) })
  })

  afterAll(async () => {
    await browser?.close()
    await served?.close()
  })

  test.for([true, false])('are done by keyboard alone, script %s', async (javaScript) => {
    await visit({ javaScript }, async (page) => {
      const by = { username: 'OPERATOR', reason: 'typed' }
      for (const [path, what, button, expected] of ACTS) {
        await page.goto(path)
        for (const box of what) await tick(page, box)
        if (button !== REHEARSE) await write(page, 'Why', 'typed')
        await follow(page, button)
        expect(operations.calls.at(-1)).toEqual(button === REHEARSE ? expected : [...expected, by])
        operations.calls.length = 0
      }
    })
  })

  test('what a replay would do is gone through by keyboard alone, and replayed from there', async () => {
    await visit({}, async (page) => {
      await page.goto('/failures')
      await follow(page, REHEARSE)
      await page.getByText('Still refused: UNKNOWN_CODE').waitFor()
      await expectWell(page, /What a replay would do/)
      expect(await keyboardFaults(page)).toEqual([])
      await write(page, 'Why', 'typed')
      await follow(page, 'Replay them')
      await page.getByText('Asked for: their rows are read again').waitFor()
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

  test('the first page is stopped and set going by keyboard, and its news take away neither focus nor place', async () => {
    await visit({ width: 375 }, async (page) => {
      await page.goto('/')
      await tabTo(page, 'Every hop')
      for (let presses = 0; presses < 20; presses++) await page.keyboard.press('ArrowRight')
      const toItsEnd = ['Every hop', true]
      await expect.poll(() => page.evaluate(STANDS)).toEqual(toItsEnd)
      for (let times = 0; times < 2; times++) await page.waitForResponse(/pipeline.now/)
      expect(await page.evaluate(STANDS)).toEqual(toItsEnd)
      await follow(page, 'Stop updating this page')
      await follow(page, 'Keep this page up to date')
      await page.getByRole('link', { name: 'Stop updating this page' }).waitFor()
    })
  })

  test('a comparison that runs is shown until it is done, and its end takes the focus from nobody', async () => {
    const done = operations.reconciliation()
    let now: ReconciliationNow = { ...done, running: { what: 'Comparing', since: 0, says: 'two places are read' } }
    const running = await startConsole({ pages: pipelinePages(fakeOperations({ reconciliation: () => now })) })
    const work = async (page: Page): Promise<void> => {
      await page.goto('/reconciliation')
      await page.getByRole('status').getByText('two places are read').waitFor()
      await tabTo(page, 'Contracts')
      now = done
      await page.getByRole('button', { name: 'Compare now' }).waitFor()
      expect(await page.getByRole('status').count()).toBe(0)
      expect(await page.evaluate('document.activeElement.textContent.trim()')).toBe('Contracts')
    }
    await visit({}, work, running.url).finally(() => running.close())
  })
})
