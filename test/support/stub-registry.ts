/** Confluent's registry API in this process, in the ways in which servers differ, with what clients asked it. */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { checkCompatibility, checkSchema } from '../../schemas/compatibility.ts'
import type { AvroSchema, Compatibility } from '../../schemas/registry.ts'

export interface StubRegistry {
  readonly url: string
  /** By subject: the level that it has been given. */
  readonly levels: Map<string, string>
  /** `METHOD /path`, oldest first. */
  readonly requests: string[]
  /** Every request from now on gets this status; null for the usual answers. */
  failWith(status: number | null): void
  /** So many writes from now on get no answer, or this status. */
  interrupt(writes: number, how: 'cut' | 503): void
  /** The next setting of a level is met by another client's, as Apicurio tells it: 409, and the level is there. */
  meetNext(): void
  authorization(): string | undefined
  close(): Promise<void>
}

/** `apicurio` answers 200 NONE for a subject that exists and has no level of its own, `confluent` 404. */
export async function stubRegistry(kind: 'confluent' | 'apicurio'): Promise<StubRegistry> {
  const levels = new Map<string, string>()
  const subjects = new Map<string, number[]>()
  const texts: string[] = []
  const requests: string[] = []
  let failure: number | null = null
  let meets = false
  let interruptions: { left: number; how: 'cut' | 503 } = { left: 0, how: 'cut' }
  let authorization: string | undefined

  function answer(
    method: string,
    [resource = '', name = '', last = '', which = '']: string[],
    body: string,
  ): [number, object] {
    if (failure !== null) return [failure, { error_code: failure, message: 'as the test wants it' }]
    if (resource === 'schemas') {
      const schema = texts[Number(last) - 1]
      return schema === undefined ? [404, { error_code: 40403, message: 'Schema not found' }] : [200, { schema }]
    }
    if (resource === 'config' && method === 'PUT') {
      const { compatibility } = JSON.parse(body) as { compatibility: string }
      levels.set(name, compatibility)
      const met = meets
      meets = false
      return met
        ? [409, { error_code: 409, message: "A rule named 'COMPATIBILITY' already exists." }]
        : [200, { compatibility }]
    }
    if (resource === 'config') {
      const compatibilityLevel = levels.get(name) ?? (kind === 'apicurio' && subjects.has(name) ? 'NONE' : null)
      return compatibilityLevel === null
        ? [404, { error_code: 40408, message: 'Subject does not have subject-level compatibility configured' }]
        : [200, { compatibilityLevel }]
    }
    if (method === 'GET') return version(name, which)
    return register(name, (JSON.parse(body) as { schema: string }).schema)
  }

  /** `/subjects/{subject}/versions/{version}`, one of them `latest`. */
  function version(subject: string, which: string): [number, object] {
    const versions = subjects.get(subject) ?? []
    const number = which === 'latest' ? versions.length : Number(which)
    const id = versions[number - 1]
    if (id !== undefined) return [200, { subject, id, version: number, schema: texts[id - 1] }]
    return [404, { error_code: versions.length === 0 ? 40401 : 40402, message: 'Version not found.' }]
  }

  function register(subject: string, text: string): [number, object] {
    const versions = subjects.get(subject) ?? []
    const known = texts.indexOf(text) + 1
    if (versions.includes(known)) return [200, { id: known }]
    const schema = JSON.parse(text) as AvroSchema
    if (checkSchema(schema) !== null) return [422, { error_code: 42201, message: 'Invalid schema' }]
    const level = levels.get(subject)
    const earlier = versions.map((id) => JSON.parse(texts[id - 1]!) as AvroSchema)
    const reason = level === undefined ? null : checkCompatibility(schema, earlier, level as Compatibility)
    if (reason !== null) return [409, { error_code: 409, message: 'Schema being registered is incompatible' }]
    const id = known > 0 ? known : texts.push(text)
    subjects.set(subject, [...versions, id])
    return [200, { id }]
  }

  const server = createServer((request, response) => {
    void read(request).then((body) => {
      authorization = request.headers.authorization
      requests.push(`${request.method} ${request.url}`)
      if (request.method !== 'GET' && interruptions.left > 0) {
        interruptions.left -= 1
        if (interruptions.how === 'cut') return void request.socket.destroy()
        return void response.writeHead(interruptions.how).end()
      }
      const path = request.url!.split('/').slice(2).map(decodeURIComponent)
      const [status, json] = answer(request.method!, path, body)
      response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' })
      response.end(JSON.stringify(json))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`,
    levels,
    requests,
    failWith: (status) => (failure = status),
    interrupt: (left, how) => (interruptions = { left, how }),
    meetNext: () => (meets = true),
    authorization: () => authorization,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

async function read(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}
