/** `npm run screenshots -- URL`: each page of a demo that runs, at both widths, into docs/screenshots. */
import { mkdir } from 'node:fs/promises'
import type { Page } from 'playwright-core'
import { openBrowser, visiting, WIDTHS, type Visitor } from './visitor.ts'

interface Shot {
  readonly name: string
  readonly as: string
  /** Leads to what is to be seen. */
  readonly open: (page: Page) => Promise<unknown>
}

const at = (path: string) => (page: Page) => page.goto(path)

/** More make a picture that nobody looks at. */
const MOST_CHANGES = 25

/** An incident of DPS with people, of those that the load has not just made; any where none has any. */
async function incident(page: Page, form = ''): Promise<void> {
  await page.goto('/incidents?status=AWAITING_REVIEW&until=2025-12-15')
  const rows = page.getByRole('row').filter({ has: page.getByRole('cell', { name: 'DPS', exact: true }) })
  const references = await rows.getByRole('link').allTextContents()
  for (const reference of references.toReversed()) {
    await page.goto(`/incidents/${reference}`)
    const people = await page.getByRole('region', { name: 'Prisoners involved' }).count()
    if (people > 0 && (await page.locator('details').count()) <= MOST_CHANGES) break
  }
  if (form !== '') await page.goto(new URL(page.url()).pathname + form)
}

async function compared(page: Page): Promise<void> {
  await page.goto('/reconciliation')
  if ((await page.getByRole('link', { name: 'Report (JSON)' }).count()) > 0) return
  await page.getByLabel('Why').fill('For the record')
  await page.getByRole('button', { name: 'Compare now' }).click()
  await page.getByRole('link', { name: 'Report (JSON)' }).waitFor({ timeout: 120_000 })
}

async function analysed(page: Page): Promise<void> {
  await page.goto('/analyse')
  await page
    .getByRole('textbox', { name: 'SQL' })
    .fill('SELECT type_family, count(*) AS incidents FROM current_report GROUP BY ALL ORDER BY incidents DESC')
  await page.getByRole('button', { name: 'Run' }).click()
  await page.getByText('Published').first().waitFor()
}

async function contract(page: Page): Promise<void> {
  await page.goto('/contracts')
  await page.getByRole('link', { name: 'Report', exact: true }).click()
  await page.getByRole('heading', { level: 1, name: 'Report' }).waitFor()
}

const SHOTS: readonly Shot[] = [
  { name: 'pipeline', as: 'OPERATOR', open: at('/?still') },
  { name: 'tables', as: 'OPERATOR', open: at('/tables') },
  { name: 'incidents', as: 'REPORTER', open: at('/incidents') },
  { name: 'incident', as: 'REPORTER', open: (page) => incident(page) },
  { name: 'incident-hidden', as: 'OPERATOR', open: (page) => incident(page, '?files') },
  { name: 'incident-new', as: 'REPORTER', open: at('/incidents/new') },
  { name: 'incident-people', as: 'REPORTER', open: (page) => incident(page, '/people') },
  { name: 'rollout', as: 'ADMINISTRATOR', open: at('/rollout') },
  { name: 'failures', as: 'OPERATOR', open: at('/failures') },
  { name: 'reconciliation', as: 'OPERATOR', open: compared },
  { name: 'contracts', as: 'OPERATOR', open: at('/contracts') },
  { name: 'contract', as: 'OPERATOR', open: contract },
  { name: 'analyse', as: 'OPERATOR', open: analysed },
  { name: 'access', as: 'AUDITOR', open: at('/access') },
]

const [url = 'http://127.0.0.1:3000', directory = 'docs/screenshots'] = process.argv.slice(2)
await mkdir(directory, { recursive: true })
const browser = await openBrowser()
const visit = visiting(browser, url)
for (const width of WIDTHS) {
  for (const { name, as, open } of SHOTS) {
    const visitor: Visitor = { width, as }
    await visit(visitor, async (page) => {
      await open(page)
      await page.screenshot({ path: `${directory}/${name}-${width}.png`, fullPage: true })
    })
  }
}
await browser.close()
