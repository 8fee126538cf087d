/** Every refusal on every route: the table is the description that the API gives of itself. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, type CryptoKey } from 'jose'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../../api/database.ts'
import { ErrorResponse } from '../../api/errors.ts'
import { auditStore, type AuditStore } from '../../api/audit-store.ts'
import * as roles from '../../api/roles.ts'
import { buildServer } from '../../api/server.ts'
import { remoteTokens } from '../../api/tokens.ts'
import { testApi, type TestApi } from '../support/api.ts'
import { changesOf, DPS_INCIDENT, NOMIS_INCIDENT } from '../support/incidents.ts'
import { filledStore } from '../support/operational.ts'
import type { TestDatabase } from '../support/postgres.ts'

const EVERY_ROLE = Object.values(roles)
const OPEN = ['/health', '/health/liveness', '/health/ping', '/health/readiness', '/info', '/ping']

interface Operation {
  readonly security?: unknown
  readonly description?: string
  readonly responses: Record<string, unknown>
}

interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly url: string
  readonly operation: Operation
}

let store: TestDatabase
let database: pg.Pool
let audit: AuditStore
let api: TestApi
let writing: TestApi
/** Every route, and those that need the store alone. */
let routes: Route[]
let reads: Route[]

const { report } = DPS_INCIDENT
const VALUES: Record<string, string> = { id: report.id, reference: '10000001', prisonerNumber: 'A1234BC' }

beforeAll(async () => {
  store = await filledStore(changesOf(DPS_INCIDENT.rows, NOMIS_INCIDENT.rows))
  database = openDatabase(store.url)
  audit = auditStore(store.url)
  api = await testApi({ database, audit })
  writing = await testApi({ database, audit, writes: { source: database } })
  reads = await routesOf(api)
  routes = await routesOf(writing)
})

/** As the API itself describes them. */
async function routesOf({ app }: TestApi): Promise<Route[]> {
  const docs = (await app.inject('/v3/api-docs')).json<{ paths: Record<string, Record<string, Operation>> }>()
  return Object.entries(docs.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => {
      const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => VALUES[name] ?? '1')
      const url = path.endsWith('/counts') ? `${filled}?by=type` : filled
      return { method: method.toUpperCase() as Route['method'], path, url, operation }
    }),
  )
}

afterAll(async () => {
  await api.app.close()
  await writing.app.close()
  await audit.close()
  await database.end()
  await store.drop()
})

async function status(url: string, headers: Record<string, string> = {}) {
  const answer = await api.app.inject({ url, headers })
  if (answer.statusCode >= 400) ErrorResponse.strict().parse(answer.json())
  return answer.statusCode
}

const isGuarded = ({ path }: Route) => !OPEN.includes(path)
const guarded = () => routes.filter(isGuarded)
const guardedReads = () => reads.filter((route) => isGuarded(route) && route.method === 'GET')

describe('every route but health, info and the description', () => {
  test('there are some', () => {
    expect(guarded().length).toBeGreaterThan(20)
    expect(routes.length - guarded().length).toBe(OPEN.length)
  })

  test('answers 401 without a token, and says which scheme it wants', async () => {
    for (const { url, method } of guarded()) {
      const answer = await writing.app.inject({ method, url })
      expect([url, answer.statusCode, answer.headers['www-authenticate']]).toEqual([url, 401, 'Bearer'])
      ErrorResponse.strict().parse(answer.json())
    }
  })

  test('answers 403 to a token without its role, unless it wants none', async () => {
    const headers = await writing.as({ roles: ['ROLE_SOMETHING_ELSE'] })
    for (const { url, method, operation } of guarded()) {
      const answer = await writing.app.inject({ method, url, headers })
      const expected = operation.description!.includes('whatever its roles') ? 200 : 403
      expect([method, url, answer.statusCode]).toEqual([method, url, expected])
      if (expected === 403) ErrorResponse.strict().parse(answer.json())
    }
  })

  test('answers one with its role', async () => {
    const headers = await api.as({ roles: EVERY_ROLE })
    for (const { url } of guardedReads()) {
      expect([url, await status(url, headers)]).toEqual([url, 200])
    }
  })

  test('declares its security, its role and each of its refusals', () => {
    for (const { operation } of guarded()) {
      expect(operation.security).toEqual([{ 'bearer-jwt': [] }])
      expect(operation.description).toMatch(/Requires (role|a token)/)
      expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['400', '401', '403', '429', '503']))
    }
  })

  test('that takes an id, reference or number answers 400 to one of another form', async () => {
    const headers = await api.as({ roles: EVERY_ROLE })
    for (const { path } of guardedReads().filter((route) => route.path.includes('{'))) {
      expect([path, await status(path.replaceAll(/\{\w+\}/g, '~'), headers)]).toEqual([path, 400])
    }
  })

  test('of one report answers 404 where there is none, and where it is another prison’s', async () => {
    const elsewhere = await api.as({ caseloads: ['LEI'] })
    const here = await api.as({ caseloads: ['LEI', 'MDI'] })
    const anywhere = await api.as()
    for (const { path, url } of guardedReads().filter((route) => /\{(id|reference)\}/.test(route.path))) {
      const none = path.replace('{id}', '00000000-0000-4000-8000-00000000ffff').replace('{reference}', '5')
      expect([path, await status(none, anywhere)]).toEqual([path, 404])
      expect([path, await status(url, elsewhere)]).toEqual([path, 404])
      expect([path, await status(url, here)]).toEqual([path, 200])
    }
  })
})

test('lists, counts and summaries hold what the caseload allows, and nothing with an empty one', async () => {
  const seen = async (caseloads: string[] | undefined) => {
    const headers = await api.as({ caseloads })
    const get = async (url: string) => (await api.app.inject({ url, headers })).json()
    return [
      (await get('/incident-reports')).totalElements,
      (await get('/incident-reports?location=MDI')).totalElements,
      (await get('/incident-reports/counts?by=prison')).total,
      (await get('/prisoners/A1234BC/assault-summary')).countOfAssaults,
    ]
  }
  expect(await seen(undefined)).toEqual([2, 1, 2, 1])
  expect(await seen(['MDI'])).toEqual([1, 1, 1, 1])
  expect(await seen(['LEI'])).toEqual([0, 0, 0, 0])
  expect(await seen([])).toEqual([0, 0, 0, 0])
})

test('a route without a role, or one that changes something unrecorded, does not start', async () => {
  const refused = async (config: object, method: 'GET' | 'POST') =>
    buildServer({
      database,
      verify: api.identity.verify,
      audit: { write: async () => {}, ready: async () => {} },
      more: { open: new Set(), routes: (app) => void app.route({ method, url: '/new', config, handler: () => 'x' }) },
    })
  await expect(refused({}, 'GET')).rejects.toThrow('GET /new names no role')
  await expect(refused({ roles: [] }, 'GET')).rejects.toThrow('names no role')
  await expect(refused({ roles: ['ROLE_X'] }, 'POST')).rejects.toThrow('nothing is recorded')
})

test('one client’s flood is answered 429, and another client is served', async () => {
  const { app, as } = await testApi({ database, requestsPerMinute: 3 })
  const flood = { headers: await as({ clientId: 'flood' }), url: '/constants/error-codes' }
  for (let i = 0; i < 3; i++) expect((await app.inject(flood)).statusCode).toBe(200)
  const answer = await app.inject(flood)
  expect([answer.statusCode, answer.json()]).toMatchObject([429, { status: 429, errorCode: null }])
  expect(answer.headers['retry-after']).toBeDefined()
  expect((await app.inject({ ...flood, headers: await as({ clientId: 'other' }) })).statusCode).toBe(200)
  await app.close()
})

test('answers carry what browsers need to be kept from them, and are stored nowhere', async () => {
  const { headers } = await api.app.inject({ url: '/incident-reports', headers: await api.as() })
  expect(headers).toMatchObject({
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  })
  expect(headers).not.toHaveProperty('x-powered-by')
})

describe('tokens of an identity provider', () => {
  let provider: Server
  let jwksUrl: string
  let answering: 'keys' | 'nothing' = 'keys'
  let keys: { privateKey: CryptoKey; publicKey: CryptoKey }
  const published: object[] = []

  beforeAll(async () => {
    keys = await generateKeyPair('RS256', { extractable: true })
    published.push({ ...(await exportJWK(keys.publicKey)), kid: 'one', alg: 'RS256' })
    provider = createServer((_, response) => {
      if (answering === 'nothing') return void response.writeHead(500).end()
      response.end(JSON.stringify({ keys: published }))
    })
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
    jwksUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/.well-known/jwks.json`
  })

  afterAll(() => void provider.close())

  const claims = { client_id: 'cattool', user_name: 'USER1', authorities: ['ROLE_A'] }
  const signed = (
    given: object = claims,
    { kid = 'one', issuer = 'https://auth', audience = 'irs', expires = '1h' } = {},
  ) =>
    new SignJWT({ ...given })
      .setProtectedHeader({ alg: 'RS256', kid })
      .setIssuer(issuer)
      .setAudience(audience)
      .setExpirationTime(expires)
      .sign(keys.privateKey)
  const expected = { issuer: 'https://auth', audience: 'irs' }

  test('say who calls: the person, else the client', async () => {
    const verify = remoteTokens(jwksUrl, expected)
    expect(await verify(await signed())).toEqual({
      username: 'USER1',
      clientId: 'cattool',
      roles: new Set(['ROLE_A']),
      scopes: new Set(),
      caseloads: null,
    })
    expect(await verify(await signed({ client_id: 'cattool', caseloads: [] }))).toEqual({
      username: 'cattool',
      clientId: 'cattool',
      roles: new Set(),
      scopes: new Set(),
      caseloads: new Set(),
    })
    for (const scope of [['read', 'write'], 'read write']) {
      expect((await verify(await signed({ ...claims, scope })))!.scopes).toEqual(new Set(['read', 'write']))
    }
  })

  test.for<[what: string, token: () => Promise<string>]>([
    ['of another issuer', () => signed(claims, { issuer: 'https://other' })],
    ['for another audience', () => signed(claims, { audience: 'other' })],
    ['that has expired', () => signed(claims, { expires: '-1m' })],
    ['with a key that is not known', () => signed(claims, { kid: 'two' })],
    ['without a client', () => signed({ authorities: ['ROLE_A'] })],
    ['whose caseloads are not a list', () => signed({ ...claims, caseloads: 'MDI' })],
    ['whose scope is neither list nor text', () => signed({ ...claims, scope: { write: true } })],
    [
      'that never expires',
      () =>
        new SignJWT(claims)
          .setProtectedHeader({ alg: 'RS256', kid: 'one' })
          .setIssuer('https://auth')
          .setAudience('irs')
          .sign(keys.privateKey),
    ],
    [
      'with alg none',
      async () =>
        [{ alg: 'none' }, { ...claims, iss: 'https://auth', aud: 'irs', exp: 9e9 }, '']
          .map((part) => (part === '' ? '' : Buffer.from(JSON.stringify(part)).toString('base64url')))
          .join('.'),
    ],
    [
      'signed with the public key as a secret',
      async () =>
        new SignJWT(claims)
          .setProtectedHeader({ alg: 'HS256', kid: 'one' })
          .setIssuer('https://auth')
          .setAudience('irs')
          .setExpirationTime('1h')
          .sign(new TextEncoder().encode(await exportSPKI(keys.publicKey))),
    ],
    ['that is no token', async () => 'nonsense'],
    [
      'with a changed claim',
      async () => (await signed()).replace(/\.[^.]+\./, `.${Buffer.from('{"client_id":"x"}').toString('base64url')}.`),
    ],
  ])('one %s is none', async ([, token]) => {
    expect(await remoteTokens(jwksUrl, expected)(await token())).toBeNull()
  })

  test('are accepted with the known keys while the provider does not answer; with none known the answer is 503', async () => {
    const verify = remoteTokens(jwksUrl, expected)
    await verify(await signed())
    answering = 'nothing'
    expect(await verify(await signed())).not.toBeNull()
    const { app } = await testApi({ database, verify: remoteTokens(jwksUrl) })
    const answer = await app.inject({
      url: '/incident-reports',
      headers: { authorization: `Bearer ${await signed()}` },
    })
    expect([answer.statusCode, answer.json()]).toMatchObject([503, { status: 503 }])
    await app.close()
    answering = 'keys'
  })

  test('are taken from the header alone, as a bearer’s', async () => {
    const token = await api.identity.token()
    for (const authorization of [token, `Basic ${token}`, `Bearer  ${token} x`, `Bearer ${'x'.repeat(9_000)}`]) {
      expect(await status('/incident-reports', { authorization })).toBe(401)
    }
    expect(await status(`/incident-reports?access_token=${token}`)).toBe(401)
    expect(await status('/incident-reports', { authorization: `bearer ${token}` })).toBe(200)
  })
})
