/** Each table: how its snapshot goes, what streams, and what keeps it from being right. */
import type { FastifyInstance } from 'fastify'
import { OPERATE_READ } from '../../api/roles.ts'
import { actor, fieldsOf, mayAct } from '../acts.ts'
import { mayOpen } from '../navigation.ts'
import type { Operations } from '../operations.ts'

export function tablesPage(operations: Operations) {
  return (app: FastifyInstance): void => {
    app.get('/tables', async (request, reply) => {
      if (!(await mayOpen(request, reply, [OPERATE_READ]))) return reply
      const found = await operations.tables().catch(() => null)
      const { asked } = request.query as { asked?: unknown }
      return reply.view('tables.njk', { found, mayAct: mayAct(request), asked: typeof asked === 'string' })
    })
    app.post('/tables/snapshot', async (request, reply) => {
      const by = await actor(request, reply, '/tables')
      if (by === null) return reply
      const tables = fieldsOf(request, 'table')
      if (tables.length === 0) {
        return reply.code(400).view('message.njk', {
          heading: 'No table is chosen',
          paragraphs: ['Nothing was changed. Choose at least one table.'],
          link: { href: '/tables', text: 'Back' },
        })
      }
      await operations.snapshot(tables, by)
      return reply.redirect('/tables?asked')
    })
  }
}
