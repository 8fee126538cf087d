import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { OPERATE_WRITE } from '../../api/roles.ts'
import { demoSignIn, localPath, providerSignIn } from '../../console/sign-in.ts'
import { startConsole, type TestConsole } from '../support/console.ts'
import { identityProvider, type IdentityProvider } from '../support/identity-provider.ts'
import { fakeOperations, pipelinePages } from '../support/operations.ts'

let provider: IdentityProvider
let served: TestConsole
let operations: ReturnType<typeof fakeOperations>

beforeEach(async () => {
  provider = await identityProvider({ username: 'A_PERSON', roles: [OPERATE_WRITE] })
  operations = fakeOperations()
  served = await startConsole({ pages: pipelinePages(operations), signIn: providerSignIn(provider) })
})

afterEach(async () => {
  await served.close()
  provider.close()
})

/** A browser's cookies, and no more of it. */
function browser() {
  const cookies = new Map<string, string>()
  async function go(path: string, form?: Record<string, string>): Promise<Response> {
    const answer = await fetch(new URL(path, served.url), {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }),
    })
    if (!new URL(path, served.url).href.startsWith(served.url)) return answer
    for (const each of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(each)!
      if (value === '') cookies.delete(name!)
      else cookies.set(name!, value!)
    }
    return answer
  }
  async function signIn(next = '/'): Promise<string> {
    const begun = await go(`/sign-in?next=${encodeURIComponent(next)}`)
    const authorised = await fetch(begun.headers.get('location')!, { redirect: 'manual' })
    const back = new URL(authorised.headers.get('location')!)
    return (await go(back.pathname + back.search)).headers.get('location')!
  }
  const token = async (path: string): Promise<string> =>
    /name="_csrf" value="([^"]+)"/.exec(await (await go(path)).text())![1]!
  return { go, signIn, token, cookies }
}

describe('signing in by the code flow', () => {
  test('leads back to the page that was asked for, as the person of the token', async () => {
    const { go, signIn } = browser()
    expect((await go('/contracts')).headers.get('location')).toBe('/sign-in?next=%2Fcontracts')
    expect(await signIn('/contracts')).toBe('/contracts')
    expect(await (await go('/contracts')).text()).toContain('A_PERSON')
  })

  test('a state that was not begun here, and a code that the provider refuses, sign nobody in', async () => {
    const { go, signIn } = browser()
    await go('/sign-in')
    expect((await go('/sign-in/callback?code=code-0&state=another')).status).toBe(403)
    provider.refuses = true
    await expect(signIn()).resolves.toBeNull()
    expect((await go('/')).headers.get('location')).toBe('/sign-in?next=%2F')
  })

  test.for(['https://evil.example', '//evil.example', '/\\evil.example', 'javascript:alert(1)', '/\t/evil', ''])(
    'next is never another site: %j',
    (next) => expect(localPath(next)).toBe('/'),
  )

  test('a cookie that was changed is nobody’s', async () => {
    const { go, signIn, cookies } = browser()
    await signIn()
    cookies.set('incidents-session', `${cookies.get('incidents-session')!.slice(0, -4)}AAAA`)
    expect((await go('/')).status).toBe(302)
  })
})

describe('forms', () => {
  const form = { act: 'replay', id: '3/7', reason: 'why not' }

  test('without the session’s token nothing is done', async () => {
    const { go, signIn } = browser()
    await signIn()
    expect((await go('/failures', form)).status).toBe(403)
    expect((await go('/failures', { ...form, _csrf: 'guessed' })).status).toBe(403)
    expect(operations.calls).toEqual([])
  })

  test('without a reason nothing is done', async () => {
    const { go, signIn, token } = browser()
    await signIn()
    const _csrf = await token('/contracts')
    expect((await go('/failures', { ...form, reason: ' ', _csrf })).status).toBe(400)
    expect(operations.calls).toEqual([])
  })

  test('what was typed when the session ended is offered again after the sign-in, and sent once', async () => {
    const { go, signIn, token, cookies } = browser()
    await signIn()
    cookies.delete('incidents-session')
    const answer = await go('/failures', form)
    expect(answer.status).toBe(401)
    expect(await answer.text()).toContain('kept for an hour')
    expect(await signIn()).toBe('/continue')
    expect(await (await go('/continue')).text()).toContain('why not')
    await go('/failures', { ...form, _csrf: await token('/continue') })
    expect(operations.calls).toEqual([['replay', ['3/7'], { username: 'A_PERSON', reason: 'why not' }]])
    expect((await go('/continue')).status).toBe(302)
  })

  test('what is kept for one browser is not offered to another', async () => {
    const [one, other] = [browser(), browser()]
    await one.go('/failures', form)
    expect(await other.signIn()).toBe('/')
  })
})

test('the demo’s choice of who to be refuses to exist in production', () => {
  const demo = { people: [], token: async () => 'a token of nobody' }
  expect(() => demoSignIn(demo, { production: true })).toThrow(expect.objectContaining({ code: 'CONFIG' }))
  expect(demoSignIn(demo, { production: false })).toMatchObject({ demo })
})

test('every page forbids scripts and frames of others, and inline ones', async () => {
  const policy = (await browser().go('/sign-in/callback')).headers.get('content-security-policy')!
  expect(policy).toMatch(/script-src 'self' 'nonce-[^']+'/)
  expect(policy).toContain("frame-ancestors 'none'")
  expect(policy).not.toContain('unsafe')
})
