/** Whether every place holds what the source holds, which rows differ, and mending them. */
import type { FastifyInstance } from 'fastify'
import { OPERATE_READ } from '../../api/roles.ts'
import { actor, field, mayAct } from '../acts.ts'
import { mayOpen } from '../navigation.ts'
import type { Operations } from '../operations.ts'
import type { ReconciliationResult } from '../reconciliation.ts'

export function reconciliationPages(operations: Operations) {
  return (app: FastifyInstance): void => {
    app.get('/reconciliation', async (request, reply) => {
      if (!(await mayOpen(request, reply, [OPERATE_READ]))) return reply
      const { running, failed, results } = operations.reconciliation()
      const [newest] = results
      return reply.view('reconciliation.njk', {
        running,
        failed,
        newest: newest ?? null,
        matrices: newest === undefined ? [] : matrices(newest.result),
        earlier: results.slice(1),
        mayAct: mayAct(request),
      })
    })
    app.get('/reconciliation/rows', async (request, reply) => {
      if (!(await mayOpen(request, reply, [OPERATE_READ]))) return reply
      const { place, entity } = request.query as Record<string, unknown>
      const [newest] = operations.reconciliation().results
      const found = newest?.result.places.find((each) => each.place === place && each.entity === entity)
      if (found === undefined) return reply.callNotFound()
      return reply.view('reconciliation-rows.njk', { found, at: newest!.at, mayAct: mayAct(request) })
    })
    app.get('/reconciliation/report', async (request, reply) => {
      if (!(await mayOpen(request, reply, [OPERATE_READ]))) return reply
      const form = (request.query as { form?: unknown }).form === 'html' ? 'html' : 'json'
      const report = operations.report(form)
      if (report === null) return reply.callNotFound()
      return reply
        .type(form === 'html' ? 'text/html; charset=utf-8' : 'application/json')
        .header('Content-Disposition', `attachment; filename="${report.name}"`)
        .send(report.text)
    })
    app.post('/reconciliation', async (request, reply) => {
      const by = await actor(request, reply, '/reconciliation')
      if (by === null) return reply
      const [place, entity] = [field(request, 'place'), field(request, 'entity')]
      const begun =
        field(request, 'act') === 'repair'
          ? await operations.repair(place === '' ? null : { place, entity }, by)
          : await operations.reconcile(by)
      if (begun) return reply.redirect('/reconciliation')
      return reply.code(409).view('message.njk', {
        heading: 'Something is running already',
        paragraphs: ['Wait until it is done.'],
        link: { href: '/reconciliation', text: 'Back' },
      })
    })
  }
}

/** Places across, entities down; those that lie in the same places together, so that no cell is empty. */
function matrices({ places }: ReconciliationResult) {
  const entities = [...Map.groupBy(places, ({ entity }) => entity)]
  const groups = Map.groupBy(entities, ([, cells]) => cells.map(({ place }) => place).join('\n'))
  return [...groups.values()].map((rows) => ({
    names: rows[0]![1].map(({ place }) => place),
    rows: rows.map(([entity, cells]) => ({ entity, cells })),
  }))
}
