/** What a page says when it cannot be shown. */
import type { FastifyError, FastifyInstance } from 'fastify'

export function answerPageErrors(app: FastifyInstance): void {
  app.setNotFoundHandler((_, reply) => {
    void reply.code(404)
    return reply.view('message.njk', {
      heading: 'Page not found',
      paragraphs: ['If you typed the address, check it is correct.'],
      link: { href: '/', text: 'To the first page' },
    })
  })
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const status = error.statusCode !== undefined && error.statusCode < 500 ? error.statusCode : 500
    if (status === 500)
      request.log.error({ route: request.routeOptions?.url, code: error.code ?? error.name }, 'a page failed')
    void reply.code(status)
    return reply.view('message.njk', {
      heading: status === 413 ? 'The form is too large' : 'Sorry, there is a problem with this page',
      paragraphs: [
        status === 413
          ? 'Nothing was changed. Shorten what you typed and send the form again.'
          : `Try again. If it comes again, give the number ${request.id} to those who run the pipeline.`,
      ],
      link: { href: '/', text: 'To the first page' },
    })
  })
}
