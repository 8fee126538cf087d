/** The questions of an incident and their answers: one question at a time, since an incident may have thousands. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { formText, text, textsOf } from '../fields.ts'
import { opened, standOf, submit, type Told } from '../incident-editing.ts'
import type { Details } from '../incident-view.ts'
import { permissions } from '../permissions.ts'

interface Answer {
  readonly code: string
  readonly response: string
  readonly responseDate: string
  readonly additionalInformation: string
}

interface Values {
  readonly code: string
  readonly question: string
  readonly additionalInformation: string
  readonly answers: readonly Answer[]
}

/** How many empty places for answers a form has beside those that are there. */
const MORE = 2
const NOTHING: Values = { code: '', question: '', additionalInformation: '', answers: [] }

export function incidentAnswerPages(app: FastifyInstance): void {
  app.get('/incidents/:which/answers', async (request, reply) => {
    const details = await opened(request, reply)
    if (details === null) return reply
    return reply.view('incident-answers.njk', { details, may: await permissions(request, details) })
  })

  app.get('/incidents/:which/answers/question', async (request, reply) => {
    const details = await opened(request, reply)
    if (details === null) return reply
    const code = text((request.query as Record<string, unknown>)['code'])
    const found = details.questions.find((question) => question.code === code)
    if (code !== '' && found === undefined) return reply.callNotFound()
    const values = found === undefined ? NOTHING : stored(found)
    return form(reply, values, found !== undefined)(details, await standOf(request, details))
  })

  app.post('/incidents/:which/answers/question', async (request, reply) => {
    const details = await opened(request, reply)
    if (details === null) return reply
    const given = request.body as Record<string, unknown>
    const values = typed(given)
    const held = details.questions.find(({ code }) => code === values.code)
    const show = form(reply, values, text(given['known']) !== '')
    if (text(given['act']) === 'remove') {
      const path = `/questions?code=${encodeURIComponent(values.code)}`
      return submit(request, reply, { details, change: { method: 'DELETE', path }, show })
    }
    const body = [
      {
        code: values.code,
        question: values.question,
        label: held?.label ?? values.question,
        additionalInformation: orNull(values.additionalInformation),
        responses: values.answers.map(({ code, response, responseDate, additionalInformation }, i) => ({
          code: code === '' ? `${values.code.slice(0, 50)}-${i + 1}` : code,
          response,
          // an answer that stands as it was keeps the words by which readers know it
          label: held?.responses.find((each) => each.code === code && each.response === response)?.label ?? response,
          responseDate: orNull(responseDate),
          additionalInformation: orNull(additionalInformation),
        })),
      },
    ]
    return submit(request, reply, { details, change: { method: 'PUT', path: '/questions', body }, show })
  })
}

function form(reply: FastifyReply, values: Values, known: boolean): (details: Details, told: Told) => FastifyReply {
  return (details, told) =>
    reply.view('incident-question.njk', { details, values, known, ...told, places: values.answers.length + MORE })
}

function stored(question: Details['questions'][number]): Values {
  return {
    code: question.code,
    question: question.question,
    additionalInformation: question.additionalInformation ?? '',
    answers: question.responses.map((each) => ({
      code: each.code ?? '',
      response: each.response,
      responseDate: each.responseDate ?? '',
      additionalInformation: each.additionalInformation ?? '',
    })),
  }
}

/** Places that were left empty are no answers. */
function typed(given: Record<string, unknown>): Values {
  const [codes, responses, dates, more] = ['answer-code', 'response', 'responseDate', 'more'].map((name) =>
    textsOf(given[name]),
  )
  return {
    code: text(given['code']),
    question: formText(given['question']),
    additionalInformation: formText(given['additionalInformation']),
    answers: responses!
      .map((response, i) => ({
        code: codes![i] ?? '',
        response,
        responseDate: dates![i] ?? '',
        additionalInformation: more![i] ?? '',
      }))
      .filter(({ response }) => response !== ''),
  }
}

function orNull(value: string): string | null {
  return value === '' ? null : value
}
