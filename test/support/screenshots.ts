/** `npm run screenshots`: each page of a running console, at both widths, into docs/screenshots. */
import { mkdir } from 'node:fs/promises'
import { openBrowser, visitor, WIDTHS } from './visitor.ts'

const PAGES: readonly (readonly [name: string, path: string])[] = [
  ['pipeline', '/'],
  ['tables', '/tables'],
  ['incidents', '/incidents'],
  ['rollout', '/rollout'],
  ['failures', '/failures'],
  ['reconciliation', '/reconciliation'],
  ['contracts', '/contracts'],
  ['analyse', '/analyse'],
  ['access', '/access'],
]

const [url = 'http://127.0.0.1:3000', directory = 'docs/screenshots'] = process.argv.slice(2)
await mkdir(directory, { recursive: true })
const browser = await openBrowser()
for (const width of WIDTHS) {
  const page = await visitor(browser, url, { width, as: 'OPERATOR' })
  for (const [name, path] of PAGES) {
    await page.goto(path)
    await page.screenshot({ path: `${directory}/${name}-${width}.png`, fullPage: true })
  }
  await page.context().close()
}
await browser.close()
