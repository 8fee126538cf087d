/**
 * A walk over a page by Tab, there and back: whether each control is reached in the page's order, can be seen while it
 * has the focus, and lets the focus go; and whether anything is there for a mouse alone.
 */
import type { Page } from 'playwright-core'

/** Where the focus is. */
interface Stop {
  /** Among the page's stops as they are now; null where none of them has it. */
  readonly at: number | null
  readonly name: string
  /** What the person would miss; none when it is well. */
  readonly faults: readonly string[]
  /** A control with fields inside, which Tab visits one by one. */
  readonly manifold: boolean
  /** Null where it is no summary of details. */
  readonly open: boolean | null
}

/** More are a trap. */
const MOST_STOPS = 600

/**
 * Inside the page. A group of radio buttons is one stop. What an element looks like without the focus is kept when the
 * focus is elsewhere.
 */
const WALK = `window.walk = (() => {
  const FOCUSABLE = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]'
  const all = () => [...document.querySelectorAll(FOCUSABLE)].filter((one) => one.tabIndex >= 0 && !one.matches(':disabled'))
  const shown = (one) => one.checkVisibility({ visibilityProperty: true })
  const group = (one) => one.type === 'radio' ? document.querySelector('input[type=radio][name="' + one.name + '"]') : one
  const stops = () => all().filter((one) => shown(one) && group(one) === one)
  const name = (one) =>
    (one.labels?.[0]?.textContent ?? one.getAttribute('aria-label') ?? one.textContent).replace(/\\s+/g, ' ').trim() || one.tagName
  const looks = (one) => [one, ...one.children, ...(one.labels ?? [])].flatMap((part) => [null, '::before', '::after'].map((of) => {
    const { outlineStyle, outlineWidth, outlineColor, boxShadow, backgroundColor } = getComputedStyle(part, of)
    const outlined = outlineStyle !== 'none' && outlineWidth !== '0px' && !/^rgba\\(.*, 0\\)$|transparent/.test(outlineColor)
    return [outlined ? outlineStyle + outlineWidth + outlineColor : '', boxShadow, backgroundColor].join()
  })).join()
  const before = new WeakMap()
  const remember = () => { for (const one of all()) if (one !== document.activeElement && !before.has(one)) before.set(one, looks(one)) }
  const inSight = (one) => [...one.getClientRects()].some((box) => {
    const [left, right] = [Math.max(0, box.left), Math.min(innerWidth, box.right)]
    const [top, bottom] = [Math.max(0, box.top), Math.min(innerHeight, box.bottom)]
    if (right - left < 2 || bottom - top < 2) return false
    const there = document.elementFromPoint((left + right) / 2, (top + bottom) / 2)
    return there !== null && (one.contains(there) || [...(one.labels ?? [])].some((label) => label.contains(there)))
  })
  // where the stop before stands; a stop may be looked at twice
  let lowest = -Infinity
  let stop = null
  let top = -Infinity
  return {
    begin() {
      remember()
      top = -Infinity
      stop = null
      document.body.tabIndex = -1
      document.body.focus()
      document.body.removeAttribute('tabindex')
      scrollTo(0, 0)
    },
    count: () => stops().length,
    inMain: () => stops().findIndex((one) => document.querySelector('main').contains(one)),
    now() {
      const one = document.activeElement
      const at = one === null || one === document.body ? -1 : stops().indexOf(group(one))
      if (at < 0) return { at: null, name: one === null || one === document.body ? '' : name(one), faults: [], manifold: false, open: null }
      remember()
      if (one !== stop) lowest = top
      stop = one
      const box = one.getBoundingClientRect()
      const faults = []
      if (looks(one) === before.get(one)) faults.push('looks as without the focus')
      if (!inSight(one)) faults.push('cannot be seen')
      if (one.closest('[aria-hidden=true], [inert]') !== null) faults.push('is hidden from screen readers')
      if (box.bottom + scrollY <= lowest) faults.push('stands above what comes before it')
      top = box.top + scrollY
      return { at, name: name(one), faults, manifold: /date|time|month|week/.test(one.type ?? ''), open: one.matches('summary') ? one.parentElement.open : null }
    },
    still: () => [
      ...[...document.querySelectorAll('[tabindex]')].filter((one) => one.tabIndex > 0).map((one) => name(one) + ': has an order of its own'),
      ...[...document.querySelectorAll('[role=button], [role=link], [role=tab], [onclick]')].filter((one) => one.tabIndex < 0).map((one) => name(one) + ': is for a mouse alone'),
    ],
  }
})(); true`

/**
 * Elements that listen to clicks, and neither take the focus nor hold one that does; but for GOV.UK's summary of errors,
 * which listens for the clicks on its links, whether it has any or none.
 */
const CLICKED = `[...document.querySelectorAll('body *:not([data-module=govuk-error-summary])')]
  .filter((one) => ['click', 'mousedown', 'mouseup', 'pointerdown', 'pointerup', 'dblclick'].some((kind) => getEventListeners(one)[kind]))
  .filter((one) => [one, ...one.querySelectorAll('*')].every(({ tabIndex }) => tabIndex < 0))
  .map((one) => one.outerHTML.slice(0, 80) + ': is for a mouse alone')`

/** What somebody without a mouse would meet: element, and what is wrong; none when it is well. */
export async function keyboardFaults(page: Page): Promise<string[]> {
  await page.evaluate(WALK)
  const faults = await page.evaluate<string[]>('walk.still()')
  faults.push(...(await clickables(page)), ...(await skipping(page)), ...(await there(page)), ...(await back(page)))
  return faults
}

async function clickables(page: Page): Promise<string[]> {
  const session = await page.context().newCDPSession(page)
  const { result } = await session.send('Runtime.evaluate', {
    expression: CLICKED,
    includeCommandLineAPI: true,
    returnByValue: true,
  })
  await session.detach()
  return result.value as string[]
}

const press = async (page: Page, key: string): Promise<Stop> => {
  await page.keyboard.press(key)
  const stop = await page.evaluate<Stop>('walk.now()')
  if (stop.faults.length === 0) return stop
  // what was scrolled may be drawn a moment later
  await page.waitForTimeout(100)
  return page.evaluate<Stop>('walk.now()')
}

/** The first stop leads past the navigation: behind it comes the first control of the page's own content. */
async function skipping(page: Page): Promise<string[]> {
  await page.evaluate('walk.begin()')
  const first = await press(page, 'Tab')
  if (!first.name.startsWith('Skip')) return [`${first.name}: comes first, and leads past nothing`]
  await page.keyboard.press('Enter')
  const next = await press(page, 'Tab')
  const inMain = await page.evaluate<number>('walk.inMain()')
  return next.at === (inMain < 0 ? null : inMain) ? [] : [`${first.name}: leads to ${next.name}`]
}

/** By Tab, from the top until the page is left; each summary is opened on the way. */
async function there(page: Page): Promise<string[]> {
  const faults: string[] = []
  await page.evaluate('walk.begin()')
  let expected = 0
  let before: Stop | null = null
  for (let presses = 0; presses < MOST_STOPS; presses++) {
    const stop = await press(page, 'Tab')
    if (before?.manifold && stop.at === before.at) continue
    if (stop.at === null && stop.name === '') {
      const count = await page.evaluate<number>('walk.count()')
      return expected === count ? faults : [...faults, `${count - expected} of ${count} controls are not reached`]
    }
    if (stop.at !== expected) return [...faults, `${stop.name}: is stop ${stop.at} where ${expected} should come`]
    faults.push(...stop.faults.map((fault) => `${stop.name}: ${fault}`))
    if (stop.open !== null) faults.push(...(await toggled(page, stop)))
    expected++
    before = stop
  }
  return [...faults, 'the focus does not leave the page']
}

/** Enter and Space both open what is closed and close what is open; left open. */
async function toggled(page: Page, { name, open }: Stop): Promise<string[]> {
  const first = await press(page, 'Enter')
  const second = await press(page, 'Space')
  if (second.open === false) await page.keyboard.press('Enter')
  return first.open === !open && second.open === open ? [] : [`${name}: neither opens nor closes`]
}

/** By Shift+Tab, from the end until the page is left at its top; a browser without a frame goes round to the end. */
async function back(page: Page): Promise<string[]> {
  const count = await page.evaluate<number>('walk.count()')
  let expected = count
  let before: Stop | null = null
  for (let presses = 0; presses < MOST_STOPS; presses++) {
    const stop = await press(page, 'Shift+Tab')
    if (before?.manifold && stop.at === before.at) continue
    if (expected === 0 && (stop.at === null || stop.at === count - 1)) return []
    expected--
    if (stop.at !== expected) return [`${stop.name}: is stop ${stop.at} on the way back where ${expected} should come`]
    before = stop
  }
  return ['the focus does not come back to the top']
}
