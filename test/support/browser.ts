/**
 * A real browser against the console's pages: with and without script, wide and narrow, by keyboard alone, and axe's
 * rules. Chromium is the machine's own: /usr/bin/chromium, or CHROMIUM_PATH.
 */
import { existsSync } from 'node:fs'
import { AxeBuilder } from '@axe-core/playwright'
import type { Page } from 'playwright-core'
import { describe, expect } from 'vitest'
import { keyboardFaults } from './keyboard-walk.ts'
import { CHROMIUM, type Visitor, type visiting } from './visitor.ts'

export { openBrowser, SCREENS, visiting, visitor, WIDTHS } from './visitor.ts'

const found = existsSync(CHROMIUM)

/** Left out, aloud, where there is no browser; with CI set that is a failure instead. */
export const describeInBrowser = found || process.env['CI'] !== undefined ? describe : describe.skip
if (!found)
  console.warn(`No browser at ${CHROMIUM}: the pages are not tried. apt-get install chromium, or CHROMIUM_PATH.`)

/** What a person with a disability would meet, by WCAG 2.2 AA: rule, and the elements; none when it is well. */
export async function violations(page: Page): Promise<string[]> {
  const { violations: broken } = await new AxeBuilder({ page })
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'])
    .analyze()
  return broken.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`)
}

/** Nothing sticks out to the right: the page itself never scrolls sideways. */
export async function expectFits(page: Page): Promise<void> {
  const { scroll, width } = await page.evaluate<{ scroll: number; width: number }>(
    '({ scroll: document.documentElement.scrollWidth, width: document.documentElement.clientWidth })',
  )
  expect(scroll).toBeLessThanOrEqual(width)
}

/** Text that would run, or break out of its place, wherever it is not written as text. `window.ran` tells. */
export const MARKUP = `<script>window.ran=1</script><img src=x onerror="window.ran=1">'"></textarea></title>{{7*7}}<b id=broken>`

/** The markup in a page's texts did nothing and stands there as it was written. */
export async function expectInert(page: Page): Promise<void> {
  expect(await page.evaluate('window.ran ?? 0')).toBe(0)
  expect(await page.locator('#broken').count()).toBe(0)
}

/** Every page is held to: no violation, nothing sticks out, and a heading that says what it is. */
export async function expectWell(page: Page, heading: string | RegExp): Promise<void> {
  await expect.poll(() => page.getByRole('heading', { level: 1 }).textContent(), { timeout: 30_000 }).toMatch(heading)
  expect(await violations(page)).toEqual([])
  await expectFits(page)
}

/** Who opens which page, and what it is then called. */
export type Opened = readonly [as: string, path: string, heading: RegExp]

/** Every page is well, and nothing in it runs that is not the console's own; a person signs in once for all of theirs. */
export async function expectPagesWell(
  visit: ReturnType<typeof visiting>,
  width: number,
  pages: readonly Opened[],
): Promise<void> {
  for (const [as, its] of Map.groupBy(pages, ([who]) => who)) {
    await visit({ as, width }, async (page) => {
      const refused: string[] = []
      page.on('console', (message) => {
        if (message.text().includes('Content Security Policy')) refused.push(message.text())
      })
      for (const [, path, heading] of its) {
        const answer = await page.goto(path)
        const policy = answer!.headers()['content-security-policy']
        expect(policy, path).toContain("default-src 'self'")
        expect(policy, path).not.toContain('unsafe')
        await expectWell(page, heading)
        await expectInert(page)
      }
      // the console's own pages need nothing that it forbids
      expect(refused).toEqual([])
    })
  }
}

/** Without script every page is called the same, and fits. */
export async function expectPagesWithoutScript(
  visit: ReturnType<typeof visiting>,
  width: number,
  pages: readonly Opened[],
): Promise<void> {
  for (const [as, its] of Map.groupBy(pages, ([who]) => who)) {
    await visit({ as, width, javaScript: false }, async (page) => {
      for (const [, path, heading] of its) {
        await page.goto(path)
        expect(await page.getByRole('heading', { level: 1 }).textContent()).toMatch(heading)
        await expectFits(page)
      }
    })
  }
}

/** Each control of every page is reached in order by the keyboard, seen, and left. */
export async function expectPagesByKeyboard(
  visit: ReturnType<typeof visiting>,
  screen: Pick<Visitor, 'width' | 'javaScript'>,
  pages: readonly Opened[],
): Promise<void> {
  for (const [as, its] of Map.groupBy(pages, ([who]) => who)) {
    await visit({ as, ...screen }, async (page) => {
      for (const [, path, heading] of its) {
        await page.goto(path)
        expect(await page.getByRole('heading', { level: 1 }).textContent()).toMatch(heading)
        expect(await keyboardFaults(page), path).toEqual([])
      }
    })
  }
}
