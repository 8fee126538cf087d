/** What a person with a keyboard alone does on the console's pages, and whom a test has do it more than once. */
import type { Page } from 'playwright-core'
import { MARKUP } from './browser.ts'
import { choose, date, follow, write } from './keyboard.ts'

/** A prison, or `*ALL*`, reports everything in DPS, so that incidents can be made there. */
export async function switchOver(page: Page, prison: string, why: string): Promise<void> {
  await page.goto('/rollout')
  await write(page, 'Prison', prison)
  await date(page, 'Reported in DPS from', '2025-01-01')
  await write(page, 'Why?', why)
  await follow(page, 'Save')
  await page.getByText('It is saved').waitFor()
}

/** A draft of Moorland with markup for a description; its reference. Ends on its page. */
export async function report(page: Page, title: string): Promise<string> {
  await page.goto('/incidents/new')
  await choose(page, 'Type', 'Fire')
  await write(page, 'Prison', 'MDI')
  await date(page, 'When did it happen?', '2026-01-01T09:30')
  await write(page, 'Title', title)
  await write(page, 'What happened?', MARKUP)
  await follow(page, 'Save as a draft')
  const heading = await page.getByRole('heading', { level: 1, name: /^Incident \d+/ }).textContent()
  return heading!.replace('Incident ', '').trim()
}

/** Asks the published copy, and waits until it has answered. */
export async function ask(page: Page, sql: string): Promise<void> {
  await page.goto('/analyse')
  await write(page, 'SQL', sql)
  await follow(page, 'Run')
  await page.locator('#result').waitFor()
}
