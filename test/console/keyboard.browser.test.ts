/** What the walk by keyboard finds: one page for each fault, made of the same few controls. */
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeInBrowser, openBrowser } from '../support/browser.ts'
import { keyboardFaults } from '../support/keyboard-walk.ts'

let browser: Browser

const page = (content: string): string =>
  `<a href="#main">Skip it</a><button>Menu</button><main id=main><a href="#x">Link</a> ${content} <button>Send</button></main>`

const WELL: readonly string[] = [
  page(
    '<input aria-label=Name> <input type=date aria-label=Day> <details><summary>More</summary><a href="#y">Inside</a></details>',
  ),
  page('<input type=radio name=r aria-label=One><input type=radio name=r aria-label=Two checked>'),
]

const FAULTS: readonly (readonly [fault: string, html: string, found: RegExp])[] = [
  ['an order of its own', page('<input aria-label=Name tabindex=2>'), /^Name: has an order of its own/],
  [
    'no sign of the focus',
    page('<style>#n:focus { outline: none }</style><button id=n>Name</button>'),
    /^Name: looks as without the focus/,
  ],
  [
    'a sign of no colour',
    page('<style>#n:focus { outline: 3px solid transparent }</style><button id=n>Name</button>'),
    /^Name: looks as without/,
  ],
  ['out of sight', page('<button style="position:absolute;left:-999px">Name</button>'), /^Name: cannot be seen/],
  [
    'behind something',
    page('<div style="position:fixed;inset:0;background:#fff"></div><button>Name</button>'),
    /^Name: cannot be seen/,
  ],
  [
    'hidden from screen readers',
    page('<div aria-hidden=true><button>Name</button></div>'),
    /^Name: is hidden from screen readers/,
  ],
  [
    'shown elsewhere than it comes',
    page('<div style="display:flex;flex-direction:column-reverse"><button>One</button><button>Two</button></div>'),
    /^Two: stands above what comes before it/,
  ],
  ['for a mouse by its role', page('<span role=button>Name</span>'), /^Name: is for a mouse alone/],
  [
    'for a mouse by its listener',
    page('<span id=n>Name</span><script>n.addEventListener("click", () => {})</script>'),
    /^<span id="n">Name.*: is for a mouse alone/,
  ],
  [
    'a trap',
    page('<input aria-label=Name onkeydown="event.preventDefault()">'),
    /^Name: is stop 3 where 4 should come/,
  ],
  [
    'a trap on the way back',
    page('<input aria-label=Name onkeydown="event.shiftKey && event.preventDefault()">'),
    /^Name: is stop 3 on the way back where 2/,
  ],
  [
    'what takes the focus away',
    page('<button onfocus="this.blur()">Name</button>'),
    /controls are not reached|should come/,
  ],
  [
    'details that a key does not open',
    page(
      '<details><summary onkeydown="/Enter| /.test(event.key) && event.preventDefault()" onkeyup="event.preventDefault()">Name</summary>x</details>',
    ),
    /^Name: neither opens nor closes/,
  ],
  ['nothing that skips', page('').replace('Skip it', 'Home'), /^Home: comes first, and leads past nothing/],
  ['a skip that leads nowhere', page('').replace('#main', '#nowhere'), /^Skip it: leads to Menu/],
]

describeInBrowser('the walk by keyboard', () => {
  beforeAll(async () => {
    browser = await openBrowser()
  })

  afterAll(() => browser?.close())

  async function faultsOf(html: string): Promise<string[]> {
    const tab = await browser.newPage()
    await tab.setContent(`<body style="font: 20px sans-serif">${html}`)
    const faults = await keyboardFaults(tab)
    await tab.close()
    return faults
  }

  test.for(WELL)('finds no fault where there is none: %s', async (html) => {
    expect(await faultsOf(html)).toEqual([])
  })

  test.for(FAULTS)('finds %s', async ([, html, found]) => {
    expect(await faultsOf(html)).toContainEqual(expect.stringMatching(found))
  })
})
