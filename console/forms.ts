/** What every form is held to, and what becomes of one whose session is over: nothing that was typed is lost. */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

type Fields = Readonly<Record<string, string | readonly string[]>>

interface Kept {
  readonly url: string
  readonly fields: Fields
  readonly bytes: number
  readonly until: number
}

const COOKIE = 'incidents-kept'
const KEPT_MS = 60 * 60 * 1000
const KEPT_BYTES = 64 << 20

/** Forms that nobody was signed in for any more, in memory, by a name that only their browser has. */
const kept = new Map<string, Kept>()

export const keptForms = {
  has: (request: FastifyRequest): boolean => kept.has(request.cookies[COOKIE] ?? ''),
}

/** Forms without the session's token are refused; forms whose session is over are kept, and offered after the sign-in. */
export function protectForms(app: FastifyInstance): void {
  app.addHook('preHandler', async (request, reply) => {
    if (request.method !== 'POST' || request.routeOptions.url === '/sign-in') return
    const fields = (request.body ?? {}) as Fields
    if (request.session === null) return keep(request, reply, fields)
    if (sameText(String(fields['_csrf'] ?? ''), request.session.csrf)) return
    void reply.code(403)
    return reply.view('message.njk', {
      heading: 'The form was not sent from this page',
      paragraphs: ['Nothing was changed. Go back, reload the page and send the form again.'],
      link: { href: '/', text: 'To the first page' },
    })
  })

  app.get('/continue', async (request, reply) => {
    const found = kept.get(request.cookies[COOKIE] ?? '')
    if (found === undefined) return reply.redirect('/')
    return reply.view('continue.njk', { action: found.url, fields: flat(found.fields) })
  })

  app.addHook('onResponse', async (request, reply) => {
    // sent again under a session, and taken: no longer kept
    if (request.method === 'POST' && request.session !== null && reply.statusCode < 400)
      kept.delete(request.cookies[COOKIE] ?? '')
  })
}

function keep(request: FastifyRequest, reply: FastifyReply, fields: Fields): FastifyReply {
  forget()
  const bytes = Buffer.byteLength(JSON.stringify(fields))
  const room = [...kept.values()].reduce((sum, each) => sum + each.bytes, bytes) <= KEPT_BYTES
  void reply.code(401)
  if (room) {
    const id = randomBytes(24).toString('base64url')
    kept.set(id, { url: request.url, fields, bytes, until: Date.now() + KEPT_MS })
    void reply.setCookie(COOKIE, id, { path: '/', httpOnly: true, sameSite: 'lax' })
  }
  return reply.view('message.njk', {
    heading: 'You have been signed out',
    paragraphs: [
      room
        ? 'What you typed is kept for an hour. Sign in, and you can go on where you were.'
        : 'Nothing was changed. Use your browser’s back button to see what you typed.',
    ],
    link: { href: '/sign-in', text: 'Sign in' },
  })
}

function forget(): void {
  const now = Date.now()
  for (const [id, { until }] of kept) if (until < now) kept.delete(id)
}

function flat(fields: Fields): { name: string; value: string }[] {
  return Object.entries(fields)
    .filter(([name]) => name !== '_csrf')
    .flatMap(([name, value]) => [value].flat().map((each) => ({ name, value: String(each) })))
}

function sameText(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)]
  return x.length === y.length && timingSafeEqual(x, y)
}
