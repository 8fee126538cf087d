/** Errors as every HMPPS service answers them. Neither a parameter's value nor a cell is ever in one. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'

export const ErrorResponse = z
  .object({
    status: z.int().describe('The HTTP status.'),
    errorCode: z
      .int()
      .nullable()
      .describe('100 for a parameter that is not accepted, 301 for a report that is not there.'),
    userMessage: z.string().nullable(),
    developerMessage: z.string().nullable(),
    moreInfo: z.string().nullable(),
  })
  .describe('Why there is no answer.')

const VALIDATION_FAILURE = 100
const REPORT_NOT_FOUND = 301

export function reportNotFound(reply: FastifyReply): FastifyReply {
  const message = 'There is no report found'
  return answerError(reply, 404, { errorCode: REPORT_NOT_FOUND, userMessage: message, developerMessage: message })
}

/** The token is missing, not ours, or has expired: which of these is nobody's business. */
export function unauthorised(reply: FastifyReply): FastifyReply {
  reply.header('WWW-Authenticate', 'Bearer')
  return answerError(reply, 401, {
    errorCode: null,
    userMessage: 'Unauthorized',
    developerMessage: 'A bearer token of the identity provider is needed',
  })
}

export function forbidden(reply: FastifyReply): FastifyReply {
  return answerError(reply, 403, {
    errorCode: null,
    userMessage: 'Forbidden',
    developerMessage: 'The token has none of the roles that this route asks for',
  })
}

/** The store has not come as far as was asked within the time that an answer may wait: answered with 409. */
export class NotYet extends Error {
  override readonly name = 'NotYet'

  constructor(asked: string, reached: string) {
    super(`Asked for ${asked}, which the store is before: it has ${reached}`)
  }
}

export function badRequest(reply: FastifyReply, message: string): FastifyReply {
  return answerError(reply, 400, {
    errorCode: VALIDATION_FAILURE,
    userMessage: `Validation failure: ${message}`,
    developerMessage: message,
  })
}

/** What a route throws, and requests for what is not there. */
export function answerErrors(app: FastifyInstance): void {
  app.setErrorHandler<FastifyError>((error, request, reply) => answerFailure(error, request, reply))
  app.setNotFoundHandler((_, reply) =>
    answerError(reply, 404, {
      errorCode: null,
      userMessage: 'No resource found',
      developerMessage: 'No route has this method and path',
    }),
  )
}

/** Also for what fails before a route is found: a path that is not UTF-8. */
export function answerFailure(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error.validation !== undefined) {
    const messages = new Set(error.validation.map((issue) => issue.message ?? 'a parameter is not accepted'))
    return badRequest(reply, [...messages].join('; '))
  }
  if (error instanceof NotYet) {
    const userMessage = 'The incident reports are not as new as that yet'
    return answerError(reply, 409, { errorCode: null, userMessage, developerMessage: error.message })
  }
  if (error.statusCode !== undefined && error.statusCode < 500) {
    const said = REFUSALS[error.statusCode]
    return said === undefined
      ? badRequest(reply, 'the request cannot be read')
      : answerError(reply, error.statusCode, said)
  }
  if (isUnusableValue(error)) return badRequest(reply, 'a parameter has a value that no row can have')
  request.log.error({ route: request.routeOptions?.url, code: error.code ?? error.name }, 'a request failed')
  if (isUnavailable(error)) {
    return answerError(reply, 503, {
      errorCode: null,
      userMessage: 'The incident reports cannot be read at the moment',
      developerMessage: `The operational store does not answer or is not there yet; request ${request.id}`,
    })
  }
  return answerError(reply, 500, {
    errorCode: null,
    userMessage: 'Unexpected error',
    developerMessage: `See the log of request ${request.id}`,
  })
}

/** What is refused for its form alone, before anything looks at it. */
const REFUSALS: Readonly<Record<number, Said>> = {
  413: refusal('The request is too large'),
  414: refusal('The path or a part of it is too long'),
  415: refusal('The request has a content type that is not read here'),
  429: refusal('Too many requests; see Retry-After'),
  431: refusal('The headers are too large'),
}

function refusal(message: string): Said {
  return { errorCode: null, userMessage: message, developerMessage: message }
}

interface Said {
  readonly errorCode: number | null
  readonly userMessage: string
  readonly developerMessage: string
}

function answerError(reply: FastifyReply, status: number, said: Said): FastifyReply {
  return reply.code(status).send({ status, ...said, moreInfo: null } satisfies z.infer<typeof ErrorResponse>)
}

/** SQLSTATE class 22: a date or text that PostgreSQL does not have. */
function isUnusableValue({ code }: FastifyError): boolean {
  return /^22...$/.test(code ?? '')
}

/**
 * The store cannot be reached (08, 57, network), has no room for another query (53), or has no tables yet (3F, 42P01).
 * The pool's own time-outs carry no code.
 */
function isUnavailable({ code, message }: FastifyError): boolean {
  if (code === undefined) return /timeout|Connection terminated/.test(message)
  return /^(08...|53...|57...|3F000|42P01|E[A-Z]+|SINK)$/.test(code)
}
