/**
 * What the writing routes refuse, with the present service's error codes (rule nomis.sync) and those that it had no
 * need of.
 */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { answerFailure } from './errors.ts'

/** Code and status of each refusal. */
export const REFUSAL = {
  validation: { errorCode: 100, status: 400 },
  notFound: { errorCode: 301, status: 404 },
  exists: { errorCode: 302, status: 409 },
  modifiedInDps: { errorCode: 303, status: 409 },
  /** A record of NOMIS, which is changed in NOMIS. */
  readOnly: { errorCode: 304, status: 409 },
  /** The time in which NOMIS may change its records is over for this prison and type. */
  cutOff: { errorCode: 305, status: 409 },
  /** The prison reports this type in the other system. */
  otherSystem: { errorCode: 306, status: 409 },
  /** Somebody else has changed it since it was read, or is changing it. */
  conflict: { errorCode: 307, status: 409 },
  /** Not this caller's prison, or not this caller's role. */
  forbidden: { errorCode: null, status: 403 },
} as const

export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly kind: keyof typeof REFUSAL
  readonly moreInfo: string | null

  /** The message names a rule, never a value of the request. */
  constructor(kind: keyof typeof REFUSAL, message: string, moreInfo: string | null = null) {
    super(message)
    this.kind = kind
    this.moreInfo = moreInfo
  }
}

/** Answers refusals and what PostgreSQL refuses; everything else as every route does. */
export function answerRefusals(app: FastifyInstance): void {
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const refusal = error instanceof Refusal ? error : refusedByDatabase(error)
    return refusal === null ? answerFailure(error, request, reply) : answer(refusal, request, reply)
  })
}

function answer({ kind, message, moreInfo }: Refusal, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, errorCode } = REFUSAL[kind]
  request.log.info({ route: request.routeOptions.url, status, errorCode }, 'refused')
  return reply.code(status).send({
    status,
    errorCode,
    userMessage: kind === 'validation' ? `Validation failure: ${message}` : message,
    developerMessage: message,
    moreInfo,
  })
}

/** A lock that was not had in time, a deadlock, or a serialisation failure: trying again helps. */
function refusedByDatabase({ code }: { code?: string }): Refusal | null {
  if (code === '55P03' || code === '40P01' || code === '40001') {
    return new Refusal('conflict', 'Somebody else is changing this report; try again')
  }
  // 22: a value that no column of that type has
  if (/^22...$/.test(code ?? '')) return new Refusal('validation', 'the request has a value that cannot be stored')
  return null
}
