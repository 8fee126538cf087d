/** A browser without a screen: a person's cookies and forms, and nothing that runs. */
export interface Page {
  readonly status: number
  readonly text: string
  /** What a person reads of it. */
  readonly words: string
  readonly url: string
  readonly headers: Headers
}

/** A name may stand more than once. */
type Fields = Readonly<Record<string, string | readonly string[]>>

export interface Visit {
  get(path: string): Promise<Page>
  /** Sends a form as its page has it: with every hidden field of the page at `path`, then these. */
  send(path: string, fields: Fields, from?: string | Page): Promise<Page>
  /** Forgets the session, as its end does. */
  expire(): void
}

/** Signed in on the console at `base` as a person of the demo. */
export async function visitOf(base: string, username: string): Promise<Visit> {
  const visit = browserWithoutScreen(base)
  await visit.send('/sign-in', { username })
  return visit
}

/** Nobody yet; a provider that asks nothing signs in whoever comes. */
export function browserWithoutScreen(base: string): Visit {
  const cookies = new Map<string, string>()

  async function go(path: string, init: RequestInit = {}): Promise<Page> {
    const to = new URL(path, base)
    const own = to.origin === new URL(base).origin
    const answer = await fetch(to, {
      ...init,
      redirect: 'manual',
      headers: {
        ...(init.headers as Record<string, string> | undefined),
        // another site has cookies of its own
        cookie: !own ? '' : [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
      },
    })
    for (const cookie of own ? answer.headers.getSetCookie() : []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)!
      if (value === '') cookies.delete(name!)
      else cookies.set(name!, value!)
    }
    const location = answer.headers.get('location')
    if (location !== null) return go(location)
    const text = await answer.text()
    return {
      status: answer.status,
      text,
      words: wordsOf(text),
      url: new URL(answer.url).pathname,
      headers: answer.headers,
    }
  }

  const post = (path: string, fields: Fields): Promise<Page> =>
    go(path, {
      method: 'POST',
      body: encoded(fields),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })

  return {
    get: go,
    send: async (path, fields, from = path) => {
      const page = typeof from === 'string' ? await go(from) : from
      const main = page.text.slice(page.text.indexOf('<main'))
      return post(path, { ...hidden(main), ...fields })
    },
    expire: () => void cookies.delete('incidents-session'),
  }
}

function encoded(fields: Fields): string {
  const form = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) for (const each of [value].flat()) form.append(name, String(each))
  return form.toString()
}

function hidden(html: string): Record<string, string | string[]> {
  const found: [string, string][] = []
  for (const [tag] of html.matchAll(/<input type="hidden"[^>]*>/g)) {
    const [, name = ''] = /name="([^"]*)"/.exec(tag) ?? []
    const [, value = ''] = /value="([^"]*)"/.exec(tag) ?? []
    found.push([name, unescaped(value)])
  }
  for (const [, name = '', value = ''] of html.matchAll(/<textarea[^>]*name="([^"]*)"[^>]*hidden>\n?([^<]*)</g)) {
    found.push([name, unescaped(value)])
  }
  const fields: Record<string, string | string[]> = {}
  for (const [name, values] of Map.groupBy(found, ([name]) => name)) {
    fields[name] = values.length === 1 ? values[0]![1] : values.map(([, value]) => value)
  }
  return fields
}

function wordsOf(html: string): string {
  const main = html.slice(html.indexOf('<main'))
  return unescaped(main.replaceAll('<wbr>', '').replaceAll(/<[^>]*>/g, ' ')).replaceAll(/\s+/g, ' ')
}

function unescaped(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
}
