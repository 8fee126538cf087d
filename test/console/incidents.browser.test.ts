/** Incidents, Rollout, Analyse and Access in a real browser: rules, widths, without script, and by keyboard. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  describeInBrowser,
  expectInert,
  expectPagesWell,
  expectWell,
  MARKUP,
  openBrowser,
  type Opened,
  tabTo,
  visiting,
  WIDTHS,
} from '../support/browser.ts'
import { openWorld, type World } from '../support/console-world.ts'

let browser: Browser
let world: World
let reference: string
let visit: ReturnType<typeof visiting>

async function create(page: Page, title: string): Promise<string> {
  await page.goto('/incidents/new')
  await page.getByLabel('Type').selectOption('FIRE_1')
  await page.getByRole('textbox', { name: 'Prison' }).fill('MDI')
  await page.getByLabel('When did it happen?').fill('2026-01-15T09:30')
  await page.getByRole('textbox', { name: 'Title' }).fill(title)
  await page.getByLabel('What happened?').fill(MARKUP)
  await page.getByRole('button', { name: 'Save as a draft' }).click()
  const heading = await page.getByRole('heading', { level: 1, name: /^Incident \d+/ }).textContent()
  return heading!.replace('Incident ', '').trim()
}

describeInBrowser('the pages of incidents', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    browser = await openBrowser()
    world = await openWorld()
    visit = visiting(browser, world.url)
    await visit({ as: 'ADMIN', javaScript: false }, async (page) => {
      await page.goto('/rollout')
      await page.getByRole('textbox', { name: 'Prison' }).fill('*ALL*')
      await page.getByLabel('Reported in DPS from').fill('2025-01-01')
      await page.getByLabel('Why?').fill('Everywhere at once')
      await page.getByRole('button', { name: 'Save' }).click()
      await page.getByText('It is saved').waitFor()
    })
    reference = await visit({ as: 'EDITOR', javaScript: false }, (page) => create(page, MARKUP))
    await world.settled()
  }, 240_000)

  afterAll(async () => {
    await browser?.close()
    await world?.close()
  })

  test.for(WIDTHS)('break no rule of WCAG 2.2 AA, fit, and let no markup run, at %i px', async (width) => {
    const pages: readonly Opened[] = [
      ['EDITOR', '/incidents', /Incidents/],
      ['EDITOR', '/incidents?reference=999999999', /Incidents/],
      ['EDITOR', '/incidents/new', /Report an incident/],
      ['EDITOR', `/incidents/${reference}`, /Incident \d+/],
      ['EDITOR', `/incidents/${reference}/amend`, /Amend/],
      ['EDITOR', `/incidents/${reference}/status`, /Change the status/],
      ['EDITOR', `/incidents/${reference}/people`, /People of incident/],
      ['EDITOR', `/incidents/${reference}/people/prisoners-involved/new`, /Add a prisoner/],
      ['EDITOR', `/incidents/${reference}/answers`, /Answers of incident/],
      ['EDITOR', `/incidents/${reference}/answers/question`, /Add a question/],
      ['EDITOR', `/incidents/${reference}/type`, /Change the type/],
      ['ADMIN', `/incidents/${reference}/delete`, /Delete incident/],
      ['OPERATOR', `/incidents/${reference}`, /Incident \d+/],
      ['OPERATOR', `/incidents/${reference}/reveal?field=title`, /Reveal/],
      ['ADMIN', '/rollout', /Rollout/],
      ['OPERATOR', '/analyse?question=0', /Analyse/],
      ['AUDITOR', '/access', /Access/],
    ]
    await expectPagesWell(visit, width, pages)
  })

  test('an answer of SQL is well too, with its chart and a refusal', async () => {
    await visit({ as: 'OPERATOR', width: 375 }, async (page) => {
      for (const sql of ['SELECT type, count(*) AS n FROM current_report GROUP BY 1', 'DROP TABLE x']) {
        await page.goto('/analyse')
        await page.getByRole('textbox', { name: 'SQL' }).fill(sql)
        await page.getByRole('button', { name: 'Run' }).click()
        await page
          .getByText(sql.startsWith('DROP') ? 'Only SELECT' : 'Published')
          .first()
          .waitFor()
        await expectWell(page, /Analyse/)
      }
    })
  })

  test('by keyboard alone an incident is found and a hidden value revealed', async () => {
    await visit({ as: 'OPERATOR' }, async (page) => {
      await page.goto('/incidents')
      await tabTo(page, 'Reference')
      await page.keyboard.type(reference)
      await page.keyboard.press('Enter')
      await page.getByRole('heading', { name: '1 incident' }).waitFor()
      await tabTo(page, reference)
      await page.keyboard.press('Enter')
      await page.getByRole('heading', { level: 1, name: `Incident ${reference}` }).waitFor()
      await tabTo(page, 'Reveal title')
      await page.keyboard.press('Enter')
      await page.getByLabel('Why do you need to see it?').waitFor()
      await tabTo(page, 'Why do you need to see it?')
      await page.keyboard.type('Ticket 4711')
      await tabTo(page, 'Reveal')
      await page.keyboard.press('Enter')
      await page.locator('#revealed').waitFor()
      expect(await page.locator('#revealed').textContent()).toBe(MARKUP)
      await expectInert(page)
    })
  })

  test('an incident gets a person, an answer and another type, is closed, reopened, and deleted as made in error', async () => {
    const made = await visit({ as: 'EDITOR', width: 375 }, async (page) => {
      const own = await create(page, 'From end to end')
      const save = (): Promise<void> => page.getByRole('button', { name: 'Save' }).click()
      const shown = (): Promise<void> => page.getByRole('heading', { level: 1, name: `Incident ${own}` }).waitFor()
      await page.getByRole('link', { name: 'Change the type' }).click()
      await page.getByLabel('New type').selectOption('MISCELLANEOUS_1')
      await page.getByRole('button', { name: 'Change the type' }).click()
      await shown()
      await page.getByRole('link', { name: 'People and additions' }).click()
      await page.getByRole('link', { name: 'Add a prisoner' }).click()
      await page.getByLabel('Prisoner number').fill('T1234AA')
      await page.getByLabel('First name').fill(MARKUP)
      await page.getByLabel('Last name').fill('Fixture')
      await page.getByLabel('Role').selectOption('FIGHTER')
      await save()
      await shown()
      await expectInert(page)
      await page.getByRole('link', { name: 'Answers' }).click()
      await page.getByRole('link', { name: 'Add a question' }).click()
      await page.getByLabel('The question’s code').fill('WHERE')
      await page.getByLabel('Question', { exact: true }).fill('Where was it?')
      await page.getByLabel('Answer', { exact: true }).first().fill('In a bin')
      await save()
      await page.getByRole('cell', { name: 'In a bin' }).waitFor()
      for (const status of ['Awaiting review', 'Closed', 'Reopened']) {
        await page.getByRole('link', { name: 'Change the status' }).click()
        await page.getByRole('radio', { name: status, exact: true }).check()
        await page.getByRole('button', { name: 'Change the status' }).click()
        await page.locator('dl').getByText(status, { exact: true }).waitFor()
      }
      return own
    })
    await visit({ as: 'ADMIN' }, async (page) => {
      await page.goto(`/incidents/${made}/delete`)
      await page.getByLabel('Why was it made in error?').fill('It was a test')
      await page.getByRole('button', { name: 'Delete the incident' }).click()
      await page.getByRole('heading', { name: `Incident ${made} has been deleted` }).waitFor()
      await world.settled()
      await page.goto(`/incidents/${made}`)
      await page.getByRole('heading', { name: 'There is no such incident' }).waitFor()
    })
  })

  test('without script an incident is amended, asked about in SQL, and who did so is found', async () => {
    await visit({ as: 'EDITOR', javaScript: false, width: 375 }, async (page) => {
      await page.goto(`/incidents/${reference}/amend`)
      await page.getByRole('textbox', { name: 'Title' }).fill('A plain title')
      await page.getByRole('button', { name: 'Save' }).click()
      await page.getByText('A plain title').first().waitFor()
    })
    await visit({ as: 'AUDITOR', javaScript: false }, async (page) => {
      await page.goto('/access')
      await page.getByLabel('Username').fill('EDITOR')
      await page.getByLabel('What', { exact: true }).fill('AMEND_INCIDENT_REPORT')
      await page.getByRole('button', { name: 'Search' }).click()
      await page.getByText('1 record').waitFor()
      expect(await page.getByRole('cell', { name: 'EDITOR' }).count()).toBe(1)
    })
  })
})
