/** What could not be processed: in groups, one by one, and what today's rules would make of it. */
import type { FastifyInstance } from 'fastify'
import { OPERATE_READ } from '../../api/roles.ts'
import { actor, field, fieldsOf, mayAct } from '../acts.ts'
import { mayOpen } from '../navigation.ts'
import type { Letter, LetterOutcome } from '../dead-letter.ts'
import type { Operations } from '../operations.ts'

/** How many letters of a group are listed. */
const SHOWN = 100

export function failuresPages(operations: Operations) {
  return (app: FastifyInstance): void => {
    app.get('/failures', async (request, reply) => {
      if (!(await mayOpen(request, reply, [OPERATE_READ]))) return reply
      const { code, done } = request.query as Record<string, unknown>
      const found = await operations.failures().catch(() => null)
      const letters = found?.letters.filter((letter) => typeof code !== 'string' || letter.code === code) ?? []
      return reply.view('failures.njk', {
        found,
        code: typeof code === 'string' ? code : null,
        letters: letters.slice(-SHOWN).reverse().map(shown),
        more: Math.max(0, letters.length - SHOWN),
        open: letters.filter(({ skipped }) => skipped === null).length,
        done: typeof done === 'string' ? done : null,
        mayAct: mayAct(request),
      })
    })
    app.post('/failures', async (request, reply) => {
      const act = field(request, 'act')
      const { letters } = await operations.failures()
      const ids = chosen(letters, fieldsOf(request, 'id'), field(request, 'code'))
      if (act === 'rehearse') {
        if (!(await mayOpen(request, reply, [OPERATE_READ]))) return reply
        const outcomes = await operations.rehearse(ids)
        const results = [...outcomes].map(([id, outcome]) => ({ id, says: outcomeText(outcome) }))
        return reply.view('rehearsal.njk', { results, ids, mayAct: mayAct(request) })
      }
      const by = await actor(request, reply, '/failures')
      if (by === null) return reply
      if (act === 'skip') {
        await operations.skip(ids, by)
        return reply.redirect('/failures?done=skipped')
      }
      await operations.replay(ids, by)
      return reply.redirect('/failures?done=replayed')
    })
  }
}

/** Those that are ticked; of the group, or all, when none is. Skipped ones stay as they are. */
function chosen(letters: readonly Letter[], ids: readonly string[], code: string): string[] {
  const wanted = new Set(ids)
  return letters
    .filter((letter) => letter.skipped === null)
    .filter((letter) => (wanted.size > 0 ? wanted.has(letter.id) : code === '' || letter.code === code))
    .map(({ id }) => id)
}

function shown(letter: Letter) {
  return { ...letter, at: new Date(letter.at).toISOString() }
}

function outcomeText(outcome: LetterOutcome): string {
  switch (outcome.outcome) {
    case 'refused':
      return `Still refused: ${outcome.code}`
    case 'gone':
      return 'The topic has a newer record of the row'
    case 'mapped': {
      const rows = outcome.rows.map(({ op, entity, id }) => `${op} ${entity} ${id}`)
      return `Would give ${rows.join(', ') || 'no row'}`
    }
  }
}
