/** The API's description of itself, and requests of each of its routes: good ones, spoiled ones and nonsense. */
import fc from 'fast-check'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { DPS_INCIDENT } from './incidents.ts'
import { uuid } from './unified-rows.ts'

type JsonSchema = Parameters<typeof z.fromJSONSchema>[0]

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly schema: { type?: string; enum?: string[]; items?: { enum?: string[] } }
}

interface Operation {
  readonly parameters?: Parameter[]
  readonly requestBody?: object
  readonly responses: Record<string, { content?: Record<string, { schema: JsonSchema }> }>
}

export interface Described {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly parameters: readonly Parameter[]
  readonly hasBody: boolean
  /** What the body of each declared status is held to; null for one that is no JSON. */
  readonly answers: ReadonlyMap<number, z.ZodType | null>
}

/** Every route but the description itself. */
export async function describedRoutes(app: FastifyInstance): Promise<Described[]> {
  const docs = (await app.inject('/v3/api-docs')).json<{ paths: Record<string, Record<string, Operation>> }>()
  return Object.entries(docs.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => read(path, method, operation)),
  )
}

function read(path: string, method: string, { parameters = [], requestBody, responses }: Operation): Described {
  const answers = Object.entries(responses).map(([status, { content }]) => {
    const schema = content?.['application/json']?.schema
    return [Number(status), schema === undefined ? null : z.fromJSONSchema(schema)] as const
  })
  return {
    method: method.toUpperCase() as Described['method'],
    path,
    parameters,
    hasBody: requestBody !== undefined,
    answers: new Map(answers),
  }
}

/** Health may say that it is not well; everything else may not break. */
export function mustBeDeclared(route: Described, answer: { statusCode: number; json: () => unknown }): void {
  const { statusCode } = answer
  const what = `${statusCode} of ${route.method} ${route.path}`
  if (statusCode >= 500 && !route.path.startsWith('/health')) throw new Error(what)
  if (!route.answers.has(statusCode)) throw new Error(`${what} is not declared`)
  route.answers.get(statusCode)?.parse(answer.json())
}

/** As it stands in a URL: what encodes well, and what no browser would send. */
const HOSTILE = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1 }).map((text) => encodeURIComponent(text.toWellFormed())),
  fc.string({ minLength: 1, maxLength: 300 }).map((text) => encodeURIComponent(text)),
  fc.double().map(String),
  fc.bigInt().map(String),
  fc.constantFrom(
    '%00',
    'A%00B1234',
    '%ED%A0%80',
    '%ED%A0%80%ED%A0%80%ED%A0%80',
    '%F0%9F',
    '%',
    '%C0%AF',
    '%E2%80%AE',
    '0000-01-01',
    '0001-01-01',
    '9999-12-31',
    '10000-01-01',
    '%2B010000-01-01',
    '2023-02-29',
    'infinity',
    '1e308',
    '-0',
    'NaN',
    '99999999999999999999',
    '2147483647',
    '2147483648',
    '0x10',
    '%20',
    "o'hara123",
    "'%3BDROP%20TABLE%20x--",
    '%24%7B7*7%7D',
    '__proto__',
    'constructor',
    '..%2F..%2Fetc',
  ),
)

/** A parameter's good values, by `path name`, else by name. */
type Known = Readonly<Record<string, readonly string[]>>

export const KNOWN: Known = {
  id: [DPS_INCIDENT.report.id, uuid(999)],
  reference: ['247314', '999'],
  prisonerNumber: ['A1234BC'],
  involvingPrisonerNumber: ['A1234BC'],
  by: ['type'],
  sort: ['reportReference,DESC'],
}

interface Values {
  readonly known: Known
  /** Of which requests, in a hundred, a parameter in the path has a good value. */
  readonly good: number
}

function valueOf(path: string, { name, schema }: Parameter, { known, good }: Values): fc.Arbitrary<string> {
  const codes = schema.enum ?? schema.items?.enum ?? []
  const values = [...codes, ...(known[`${path} ${name}`] ?? known[name] ?? [])]
  if (values.length === 0) return HOSTILE
  return fc.oneof({ arbitrary: HOSTILE, weight: 100 - good }, { arbitrary: fc.constantFrom(...values), weight: good })
}

/** What stands in the place of a value that is good. */
const SPOILED = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    '',
    'SECRET\0',
    'SECRET\ud800',
    '<script>alert(1)</script>',
    "'); DROP TABLE report; --",
    'UNKNOWN_CODE',
    '0000-01-01',
    '0000-01-01T00:00:00',
    '10000-01-01T00:00:00',
    '2023-02-29T10:00:00',
    '2024-07-01T12:34:56Z',
    'infinity',
    -1,
    0.5,
    2 ** 31,
    2 ** 53,
    1e300,
    [],
    {},
    [[]],
    'x'.repeat(70_000),
  ),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.jsonValue({ maxDepth: 2 }),
)

interface Spoil {
  readonly at: number
  readonly how: 'replace' | 'leave out' | 'twice'
  readonly value: unknown
}

const SPOIL: fc.Arbitrary<Spoil> = fc.record({
  at: fc.nat(),
  how: fc.constantFrom('replace', 'replace', 'leave out', 'twice'),
  value: SPOILED,
})

/** Every value within, with what holds it. */
function places(value: unknown): { holder: Record<string, unknown> | unknown[]; key: string }[] {
  if (typeof value !== 'object' || value === null) return []
  const holder = value as Record<string, unknown>
  return Object.entries(value).flatMap(([key, inner]) => [{ holder, key }, ...places(inner)])
}

function spoiled(body: unknown, spoils: readonly Spoil[]): unknown {
  const copy: unknown = structuredClone(body)
  for (const { at, how, value } of spoils) {
    const all = places(copy)
    if (all.length === 0) continue
    const { holder, key } = all[at % all.length]!
    const own = holder as Record<string, unknown>
    if (how === 'replace') own[key] = value
    else if (how === 'twice' && Array.isArray(holder)) holder.push(structuredClone(own[key]))
    else if (Array.isArray(holder)) holder.splice(Number(key), 1)
    else delete own[key]
  }
  return copy
}

/** A good body as it is, with one or two things wrong with it, or something else. */
function bodyOf(good: unknown): fc.Arbitrary<unknown> {
  const nonsense = fc.jsonValue({ maxDepth: 4 })
  if (good === undefined) return nonsense
  const spoils = fc.array(SPOIL, { minLength: 1, maxLength: 2 }).map((each) => spoiled(good, each))
  return fc.oneof(
    { arbitrary: fc.constant(good), weight: 2 },
    { arbitrary: spoils, weight: 6 },
    { arbitrary: nonsense, weight: 1 },
  )
}

export interface Asked {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

/** Requests of a route; `body` is one that it accepts. */
export function requestOf(route: Described, values: Values, body?: unknown): fc.Arbitrary<Asked> {
  const { path, parameters, hasBody } = route
  const inPath = parameters.filter((each) => each.in === 'path')
  const inQuery = parameters.filter((each) => each.in === 'query')
  const pair = inQuery.map((each) => valueOf(path, each, values).map((value) => `${each.name}=${value}`))
  return fc
    .record({
      url: fc
        .tuple(
          fc.tuple(...inPath.map((each) => valueOf(path, each, values))),
          pair.length === 0 ? fc.constant([]) : fc.array(fc.oneof(...pair), { maxLength: 5 }),
        )
        .map(([given, query]) => {
          const filled = inPath.reduce((url, { name }, i) => url.replace(`{${name}}`, () => given[i]!), path)
          return query.length === 0 ? filled : `${filled}?${query.join('&')}`
        }),
      lsn: fc.constantFrom(undefined, '0/0', '', 'nonsense', 'FFFFFFFFF/0', '0/0, 0/0'),
      match: fc.constantFrom(undefined, undefined, undefined, '"2026-06-01T12:00:00"', '"', '*'),
      reason: fc.oneof(fc.constant(undefined), fc.stringMatching(/^[ -~\u00a1-\u00ff]{0,600}$/)),
      body: hasBody ? bodyOf(body) : fc.constant(undefined),
    })
    .map(({ url, lsn, match, reason, body: given }) => ({
      url,
      body: given,
      headers: {
        ...(lsn === undefined ? {} : { 'if-source-lsn-at-least': lsn }),
        ...(match === undefined ? {} : { 'if-match': match }),
        ...(reason === undefined ? {} : { 'x-reason': reason }),
        ...(given === undefined ? {} : { 'content-type': 'application/json' }),
      },
    }))
}
