/** Incidents, Rollout, Analyse and Access in a real browser: rules, widths, without script, and by keyboard. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  describeInBrowser,
  expectInert,
  expectPagesByKeyboard,
  expectPagesWell,
  expectPagesWithoutScript,
  expectWell,
  MARKUP,
  openBrowser,
  type Opened,
  SCREENS,
  visiting,
  WIDTHS,
} from '../support/browser.ts'
import { ask, report, switchOver } from '../support/console-acts.ts'
import { openWorld, type World } from '../support/console-world.ts'
import { choose, enter, follow, pick, tabTo, write } from '../support/keyboard.ts'
import { keyboardFaults } from '../support/keyboard-walk.ts'

let browser: Browser
let world: World
let reference: string
let visit: ReturnType<typeof visiting>

const RIGHT_TO_LEFT = 'محمد בן־דוד'

/** With people, whose names run both ways, and an answer, so that every table of its page has rows. */
async function fill(incident: string): Promise<void> {
  const editor = await world.visit('EDITOR')
  const person = { firstName: RIGHT_TO_LEFT, lastName: 'Fixture', outcome: '', comment: MARKUP }
  const people = `/incidents/${incident}/people`
  await editor.send(`${people}/prisoners-involved/new`, {
    ...person,
    prisonerNumber: 'T1234AA',
    prisonerRole: 'VICTIM',
  })
  await editor.send(`${people}/staff-involved/new`, { ...person, staffUsername: '', staffRole: 'PRESENT_AT_SCENE' })
  await editor.send(`${people}/description-addendums/new`, { ...person, text: MARKUP })
  const asked = { code: 'WHERE', question: 'Where was it?', additionalInformation: '' }
  const answered = { 'answer-code': '', response: MARKUP, responseDate: '', more: RIGHT_TO_LEFT }
  await editor.send(`/incidents/${incident}/answers/question`, { ...asked, ...answered })
}

const pages = (): readonly Opened[] => [
  ['EDITOR', '/incidents', /Incidents/],
  ['EDITOR', '/incidents?reference=999999999', /Incidents/],
  ['EDITOR', '/incidents?reference=abc', /Incidents/],
  ['EDITOR', '/incidents/new', /Report an incident/],
  ['EDITOR', `/incidents/${reference}`, /Incident \d+/],
  ['EDITOR', `/incidents/${reference}/amend`, /Amend/],
  ['EDITOR', `/incidents/${reference}/status`, /Change the status/],
  ['EDITOR', `/incidents/${reference}/people`, /People of incident/],
  ['EDITOR', `/incidents/${reference}/people/prisoners-involved/new`, /Add a prisoner/],
  ['EDITOR', `/incidents/${reference}/people/staff-involved/0`, /Change a member of staff/],
  ['EDITOR', `/incidents/${reference}/answers`, /Answers of incident/],
  ['EDITOR', `/incidents/${reference}/answers/question`, /Add a question/],
  ['EDITOR', `/incidents/${reference}/type`, /Change the type/],
  ['ADMIN', `/incidents/${reference}/delete`, /Delete incident/],
  ['OPERATOR', `/incidents/${reference}`, /Incident \d+/],
  ['OPERATOR', `/incidents/${reference}/reveal?field=title`, /Reveal/],
  ['ADMIN', '/rollout', /Rollout/],
  ['OPERATOR', '/analyse?question=0', /Analyse/],
  ['VIEWER', '/analyse', /Analyse/],
  ['AUDITOR', '/access', /Access/],
]

/** Well by every measure that a page is held to. */
async function expectAll(page: Page, heading: RegExp): Promise<void> {
  await expectWell(page, heading)
  await expectInert(page)
  expect(await keyboardFaults(page)).toEqual([])
}

describeInBrowser('the pages of incidents', () => {
  beforeAll(async () => {
    browser = await openBrowser()
    world = await openWorld()
    visit = visiting(browser, world.url)
    await visit({ as: 'ADMIN', javaScript: false }, (page) => switchOver(page, '*ALL*', 'Everywhere at once'))
    reference = await visit({ as: 'EDITOR', javaScript: false }, (page) => report(page, MARKUP))
    await fill(reference)
    await world.settled()
  }, 240_000)

  afterAll(async () => {
    await browser?.close()
    await world?.close()
  })

  test.for(WIDTHS)('break no rule of WCAG 2.2 AA, fit, and let no markup run, at %i px', async (width) => {
    await expectPagesWell(visit, width, pages())
  })

  test('say the same without script on a phone', async () => {
    await expectPagesWithoutScript(visit, 375, pages())
  })

  test.for(SCREENS)('are gone through by keyboard alone at $width px, script $javaScript', async (screen) => {
    await expectPagesByKeyboard(visit, screen, pages())
  })

  test('by keyboard alone SQL is asked, refused, drawn and taken away; so are the records of it', async () => {
    await visit({ as: 'OPERATOR', width: 375 }, async (page) => {
      await page.goto('/analyse')
      await follow(page, 'How many incidents are there?')
      await write(page, 'SQL', 'DROP TABLE x')
      await follow(page, 'Run')
      await page.getByText('Only SELECT').first().waitFor()
      await expectAll(page, /Analyse/)
      await ask(page, 'SELECT type, count(*) AS n FROM current_report GROUP BY 1')
      await page.getByRole('img', { name: /^n by type/ }).waitFor()
      await expectAll(page, /Analyse/)
      for (const format of ['CSV', 'parquet']) {
        const [file] = await Promise.all([page.waitForEvent('download'), enter(page, `Download ${format}`)])
        expect(file.suggestedFilename()).toBe(`result.${format.toLowerCase()}`)
      }
    })
    await visit({ as: 'AUDITOR', javaScript: false }, async (page) => {
      await page.goto('/access')
      await write(page, 'Username', 'OPERATOR')
      await write(page, 'What', 'DOWNLOAD_ANALYSIS')
      await follow(page, 'Search')
      await page.getByText('2 records').waitFor()
      const [file] = await Promise.all([page.waitForEvent('download'), enter(page, 'Download as CSV')])
      expect(file.suggestedFilename()).toBe('access.csv')
    })
  })

  test.for([true, false])(
    'by keyboard alone an incident is found and a hidden value revealed, script %s',
    async (javaScript) => {
      await visit({ as: 'OPERATOR', javaScript }, async (page) => {
        await page.goto('/incidents')
        await write(page, 'Reference', reference)
        await Promise.all([page.waitForEvent('load'), page.keyboard.press('Enter')])
        await page.getByRole('heading', { name: '1 incident' }).waitFor()
        await follow(page, reference)
        await page.getByRole('heading', { level: 1, name: `Incident ${reference}` }).waitFor()
        await follow(page, 'Reveal title')
        await page.getByLabel('Why do you need to see it?').waitFor()
        await follow(page, 'Reveal')
        await page.getByRole('heading', { name: 'There is a problem' }).waitFor()
        await write(page, 'Why do you need to see it?', 'Ticket 4711')
        await follow(page, 'Reveal')
        await page.locator('#revealed').waitFor()
        expect(await page.locator('#revealed').textContent()).toBe(MARKUP)
        await expectInert(page)
      })
    },
  )

  test('by keyboard alone an incident gets a person, an answer, another type, is closed, reopened, and deleted', async () => {
    const made = await visit({ as: 'EDITOR', width: 375 }, async (page) => {
      const own = await report(page, 'From end to end')
      const shown = (): Promise<void> => page.getByRole('heading', { level: 1, name: `Incident ${own}` }).waitFor()
      await follow(page, 'Change the type')
      await choose(page, 'New type', 'Misc')
      await follow(page, 'Change the type')
      await shown()
      await follow(page, 'People and additions')
      await follow(page, 'Add a prisoner')
      await write(page, 'Prisoner number', 'T1234AA')
      await write(page, /^First name/, MARKUP)
      await write(page, /^Last name/, 'Fixture')
      await choose(page, 'Role', 'Fighter')
      await follow(page, 'Save')
      await shown()
      await expectInert(page)
      await follow(page, 'Answers')
      await follow(page, 'Add a question')
      await write(page, 'The question’s code', 'WHERE')
      await write(page, 'Question', 'Where was it?')
      await write(page, 'Answer', 'In a bin')
      await follow(page, 'Save')
      await page.getByRole('cell', { name: 'In a bin' }).waitFor()
      for (const status of ['Awaiting review', 'Closed', 'Reopened']) {
        await follow(page, 'Change the status')
        await pick(page, status)
        await follow(page, 'Change the status')
        await page.locator('dl').getByText(status, { exact: true }).waitFor()
      }
      return own
    })
    await visit({ as: 'ADMIN' }, async (page) => {
      await page.goto(`/incidents/${made}`)
      await follow(page, 'Delete')
      await write(page, 'Why was it made in error?', 'It was a test')
      await follow(page, 'Delete the incident')
      await page.getByRole('heading', { name: `Incident ${made} has been deleted` }).waitFor()
      await world.settled()
      await page.goto(`/incidents/${made}`)
      await page.getByRole('heading', { name: 'There is no such incident' }).waitFor()
    })
  })

  test('two people amend one incident by keyboard: the second sees what has changed, beside what was typed', async () => {
    const path = `/incidents/${reference}/amend`
    await visit({ as: 'OTHER_EDITOR', width: 375 }, async (second) => {
      await second.goto(path)
      await visit({ as: 'EDITOR', javaScript: false }, async (first) => {
        await first.goto(path)
        await write(first, 'Title', `${MARKUP} was first`)
        await follow(first, 'Save')
        await first.getByText('was first').first().waitFor()
      })
      await write(second, 'Title', `${MARKUP} was second`)
      await follow(second, 'Save')
      await second.getByRole('heading', { name: 'Somebody else has changed this incident' }).waitFor()
      for (const text of ['was first', 'was second'])
        expect(await second.getByRole('cell', { name: text }).count()).toBe(1)
      await expectAll(second, /Amend/)
      await follow(second, 'Save')
      await second.getByText('was second').first().waitFor()
    })
  })

  test('a session that ends over a form is begun again by keyboard, and what was typed is sent', async () => {
    await visit({ as: 'EDITOR', width: 375 }, async (page) => {
      await page.goto(`/incidents/${reference}/amend`)
      await write(page, 'Title', `${MARKUP} was kept`)
      await page.context().clearCookies({ name: 'incidents-session' })
      await follow(page, 'Save')
      await page.getByText('What you typed is kept for an hour').waitFor()
      await expectAll(page, /You have been signed out/)
      await follow(page, 'Sign in')
      await pick(page, 'EDITOR')
      await follow(page, 'Sign in')
      await page.getByRole('heading', { name: 'Go on where you were' }).waitFor()
      await expectAll(page, /Go on where you were/)
      await follow(page, 'Send the form')
      expect(await page.locator('main').innerText()).toContain('was kept')
    })
  })

  test('a form that is refused says why and keeps what was typed', async () => {
    await visit({ as: 'EDITOR', width: 375 }, async (page) => {
      await page.goto('/incidents/new')
      await write(page, 'Title', MARKUP)
      await follow(page, 'Save as a draft')
      await page.getByRole('heading', { name: 'There is a problem' }).waitFor()
      expect(await page.getByLabel('Title').inputValue()).toBe(MARKUP)
      await tabTo(page, 'Title')
      await expectAll(page, /Report an incident/)
    })
  })
})
