import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeInBrowser, expectInert, expectWell, MARKUP, openBrowser, visitor, WIDTHS } from '../support/browser.ts'
import { follow, tabTo } from '../support/keyboard.ts'
import { keyboardFaults } from '../support/keyboard-walk.ts'
import { PEOPLE, startConsole, type TestConsole } from '../support/console.ts'

let browser: Browser
let served: TestConsole

describeInBrowser('signing in to the demo', () => {
  beforeAll(async () => {
    browser = await openBrowser()
    const people = [...PEOPLE, { username: 'MARKUP', says: MARKUP, roles: [] }]
    served = await startConsole({
      people,
      pages: [(app) => void app.get('/', (_, reply) => reply.view('message.njk', { heading: 'Here', paragraphs: [] }))],
    })
  })

  afterAll(async () => {
    await browser?.close()
    await served?.close()
  })

  test.for(WIDTHS)('the page is well at %i px, with script and without, also by keyboard alone', async (width) => {
    for (const javaScript of [true, false]) {
      const page = await visitor(browser, served.url, { width, javaScript })
      await page.goto('/sign-in')
      await expect
        .poll(() => page.getByRole('heading', { level: 1 }).textContent(), { timeout: 30_000 })
        .toMatch(/Who do you want to be/)
      if (javaScript) await expectWell(page, /Who do you want to be/)
      expect(await keyboardFaults(page)).toEqual([])
      await page.context().close()
    }
  })

  test('the keyboard alone signs in, and out again', async () => {
    const page = await visitor(browser, served.url)
    await page.goto('/sign-in')
    await tabTo(page, 'OPERATOR')
    await page.keyboard.press('ArrowDown')
    await follow(page, 'Sign in')
    await page.getByText('WATCHER').waitFor()
    await follow(page, 'Sign out')
    await expect.poll(() => page.url(), { timeout: 30_000 }).toMatch(/\/sign-in$/)
    await page.context().close()
  })

  test('markup in a person’s words is text', async () => {
    const page = await visitor(browser, served.url)
    await page.goto('/sign-in')
    await expectInert(page)
    expect(await page.getByText('<script>window.ran=1').count()).toBe(1)
    await page.context().close()
  })
})
