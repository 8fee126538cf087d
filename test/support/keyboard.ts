/** A person who has a keyboard alone: where Tab leads, and what Enter, Space, arrows and letters do there. */
import type { Page } from 'playwright-core'

/** What the focused element is called. */
const FOCUSED = `(() => {
  const element = document.activeElement
  if (element === null || element === document.body) return ''
  const label = element.labels?.[0]?.textContent
  return (label ?? element.getAttribute('aria-label') ?? element.textContent ?? '').replace(/\\s+/g, ' ').trim()
})()`

const MOST_PRESSES = 400

/** Presses Tab until the element has the focus; fails when the keyboard does not reach it. */
export async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  const wanted = (text: string): boolean => (typeof name === 'string' ? text === name : name.test(text))
  for (let presses = 0; presses < MOST_PRESSES; presses++) {
    await page.keyboard.press('Tab')
    if (wanted(await page.evaluate<string>(FOCUSED))) return
  }
  throw new Error(`The keyboard does not reach ${String(name)}.`)
}

/** Presses Enter on a link or a button. */
export async function enter(page: Page, name: string | RegExp): Promise<void> {
  await tabTo(page, name)
  await page.keyboard.press('Enter')
}

/** Presses Enter on what leads to another page, and waits until it is there. */
export async function follow(page: Page, name: string | RegExp): Promise<void> {
  await tabTo(page, name)
  await Promise.all([page.waitForEvent('load'), page.keyboard.press('Enter')])
}

/** Ticks a box, or takes it away. */
export async function tick(page: Page, name: string | RegExp): Promise<void> {
  await tabTo(page, name)
  await page.keyboard.press('Space')
}

/** Writes into a field, in place of what stands there. */
export async function write(page: Page, name: string | RegExp, text: string): Promise<void> {
  await tabTo(page, name)
  await page.keyboard.press('ControlOrMeta+a')
  await page.keyboard.type(text)
}

/** Chooses from a list by the first letters of what stands in it. */
export async function choose(page: Page, name: string | RegExp, letters: string): Promise<void> {
  await tabTo(page, name)
  await page.keyboard.type(letters)
}

/**
 * Writes a day, and a time if it has one, as `2026-01-01T09:30`. The day's number is that of its month: a browser asks
 * for the two in the order of its own country.
 */
export async function date(page: Page, name: string | RegExp, value: string): Promise<void> {
  const [, year, month, day, hour, minute] = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d))?$/.exec(value)!
  if (day !== month) throw new Error(`${value}: which is the day and which the month depends on the browser.`)
  await tabTo(page, name)
  await page.keyboard.type(`${day}${month}${year}`)
  if (hour === undefined) return
  await page.keyboard.press('ArrowRight')
  // the half of the day, where it is asked for
  await page.keyboard.type(`${hour}${minute}a`)
}

/** Chooses one of the radio buttons that come next. */
export async function pick(page: Page, name: string): Promise<void> {
  for (let presses = 0; presses < MOST_PRESSES; presses++) {
    await page.keyboard.press((await page.evaluate('document.activeElement.type')) === 'radio' ? 'ArrowDown' : 'Tab')
    if ((await page.evaluate<string>(FOCUSED)) === name) return page.keyboard.press('Space')
  }
  throw new Error(`The keyboard does not reach ${name}.`)
}
