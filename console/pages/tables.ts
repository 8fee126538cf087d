/** Each table: how its snapshot goes, what streams, and what keeps it from being right. */
import type { FastifyInstance } from 'fastify'
import { OPERATE_READ } from '../../api/roles.ts'
import { actor, field, fieldsOf, mayAct } from '../acts.ts'
import { mayOpen } from '../navigation.ts'
import type { Operations } from '../operations.ts'

export function tablesPage(operations: Operations) {
  return (app: FastifyInstance): void => {
    app.get('/tables', async (request, reply) => {
      if (!(await mayOpen(request, reply, [OPERATE_READ]))) return reply
      const found = await operations.tables().catch(() => null)
      const { asked } = request.query as { asked?: unknown }
      return reply.view('tables.njk', { found, mayAct: mayAct(request), asked: SAID.get(String(asked)) ?? null })
    })
    app.post('/tables', async (request, reply) => {
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
      const act = field(request, 'act')
      if (!SAID.has(act)) return reply.callNotFound()
      if (act === 'pause' || act === 'resume') await operations.hold(tables, act, by)
      else await operations.snapshot(tables, by)
      return reply.redirect(`/tables?asked=${act}`)
    })
  }
}

/** What is said of an act that was asked for; capture does it when it comes to it in the source's WAL. */
const SAID: ReadonlyMap<string, string> = new Map([
  ['snapshot', 'Asked for: the tables are read again while rows flow.'],
  ['pause', 'Asked for: the tables are read no further until they are resumed. What changes in them still streams.'],
  ['resume', 'Asked for: reading the tables goes on where it was.'],
])
