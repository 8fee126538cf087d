/** Acts on the pipeline: by whoever may, with a reason that is recorded. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { OPERATE_WRITE } from '../api/roles.ts'
import { mayOpen } from './navigation.ts'
import type { Operator } from './operations.ts'

const LONGEST_REASON = 500

export function mayAct(request: FastifyRequest): boolean {
  return request.session?.roles.includes(OPERATE_WRITE) === true
}

/** Who acts and why; null when the answer has been given already: the role or the reason is missing. */
export async function actor(request: FastifyRequest, reply: FastifyReply, back: string): Promise<Operator | null> {
  if (!(await mayOpen(request, reply, [OPERATE_WRITE]))) return null
  const reason = field(request, 'reason').trim()
  if (reason !== '' && reason.length <= LONGEST_REASON) return { username: request.session!.username, reason }
  void reply.code(400)
  await reply.view('message.njk', {
    heading: 'A reason is needed',
    paragraphs: [
      `Nothing was changed. Say why, in at most ${LONGEST_REASON} characters; name no person of an incident.`,
    ],
    link: { href: back, text: 'Back' },
  })
  return null
}

/** One field of a form; '' when it is missing. */
export function field(request: FastifyRequest, name: string): string {
  return fieldsOf(request, name)[0] ?? ''
}

export function fieldsOf(request: FastifyRequest, name: string): string[] {
  const value = (request.body as Record<string, unknown> | null)?.[name] ?? []
  return [value].flat().filter((each) => typeof each === 'string')
}
