/** A person in front of the console's pages. */
import { chromium, type Browser, type Page } from 'playwright-core'

export const CHROMIUM = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium'

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
}

/** A desk's screen, and the narrowest phone that GOV.UK's pages are made for. */
export const WIDTHS = [1280, 375] as const

/** With script on the desk, without it on the phone: what differs by keyboard is the menu, which script alone closes. */
export const SCREENS = [
  { width: 1280, javaScript: true },
  { width: 375, javaScript: false },
] as const

export interface Visitor {
  /** 1280 unless given. */
  readonly width?: number
  /** With script unless false. */
  readonly javaScript?: boolean
  /** Signed in as this person of the demo; as nobody unless given. */
  readonly as?: string
}

/** Visits of the console at `url`: a page for as long as `work` takes. */
export function visiting(browser: Browser, url: string) {
  return async <T>(options: Visitor, work: (page: Page) => Promise<T>): Promise<T> => {
    const page = await visitor(browser, url, options)
    try {
      return await work(page)
    } finally {
      await page.context().close()
    }
  }
}

/** A page of a browser of its own (cookies, cache), on the console at `url`, signed in by its form. */
export async function visitor(browser: Browser, url: string, options: Visitor = {}): Promise<Page> {
  const { width = 1280, javaScript = true, as } = options
  const context = await browser.newContext({
    baseURL: url,
    viewport: { width, height: width < 600 ? 800 : 900 },
    javaScriptEnabled: javaScript,
    locale: 'en-GB',
    timezoneId: 'Europe/London',
  })
  context.setDefaultTimeout(15_000)
  const page = await context.newPage()
  if (as === undefined) return page
  await page.goto('/sign-in')
  await page.getByRole('radio', { name: as, exact: true }).check()
  await page.getByRole('button', { name: 'Sign in' }).click()
  return page
}
