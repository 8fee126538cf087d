/** Ready questions, SQL of one's own under a lock, and counts as charts, all without small numbers. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { OPERATE_READ, VIEW_REPORTS } from '../../api/roles.ts'
import type { ReportCounts } from '../../api/shapes.ts'
import { chart, suppressed, type Bar, type Chart } from '../chart.ts'
import { csv } from '../csv.ts'
import { mayOpen } from '../navigation.ts'
import { queries, QUERY_LIMITS, type Queries } from '../query.ts'
import type { QueryAnswer } from '../query-child.ts'
import { text } from '../fields.ts'

export interface Question {
  readonly title: string
  readonly sql: string
}

export interface AnalyseOptions {
  /** The published copy. */
  readonly file: string
  /** With their SQL. */
  readonly questions: readonly Question[]
  /** On the copy, unless a test gives others. */
  readonly queries?: Queries
}

const ROLES = [VIEW_REPORTS, OPERATE_READ]

export function analysePage({ file, questions, queries: given }: AnalyseOptions): (app: FastifyInstance) => void {
  const asked = given ?? queries(file)
  return (app) => {
    app.get('/analyse', async (request, reply) => {
      if (!(await mayOpen(request, reply, ROLES))) return reply
      const chosen = questions[Number.parseInt(text((request.query as { question?: unknown }).question), 10)]
      return show(request, reply, { questions, sql: chosen?.sql ?? '' })
    })

    app.post('/analyse', async (request, reply) => {
      if (!(await mayOpen(request, reply, ROLES))) return reply
      const form = request.body as Record<string, unknown>
      const [sql, format] = [text(form['sql']), text(form['format'])]
      const no = (problem: string) => show(request, reply.code(400), { questions, sql, problem })
      if (request.session!.caseloads !== null) return no(ONLY_NATIONAL)
      if (sql === '') return no('Write a SELECT, or choose a question.')
      const away = format === 'csv' || format === 'parquet'
      // recorded first: what cannot be recorded is not run
      const recorded = await request.api(away ? '/analyses/downloads' : '/analyses', { method: 'POST', body: { sql } })
      if (recorded.body === null)
        return no(`The query was not run, since it could not be recorded. ${recorded.message}`)
      if (format === 'parquet') {
        const outcome = await asked.parquet(sql)
        return 'refused' in outcome
          ? no(outcome.refused)
          : download(reply, 'result.parquet', 'application/vnd.apache.parquet').send(outcome.answer)
      }
      const outcome = await asked.table(sql)
      if ('refused' in outcome) return no(outcome.refused)
      if (format !== 'csv') return show(request, reply, { questions, sql, answer: outcome.answer })
      const { columns, rows } = outcome.answer
      return download(reply, 'result.csv', 'text/csv; charset=utf-8').send(csv(columns, rows))
    })
  }
}

const ONLY_NATIONAL =
  'SQL is for readers of all prisons: the published copy does not know whose prison you work with. The charts show your own prisons.'

function download(reply: FastifyReply, name: string, type: string): FastifyReply {
  return reply.type(type).header('Content-Disposition', `attachment; filename="${name}"`)
}

interface Shown {
  readonly questions: readonly Question[]
  readonly sql: string
  readonly problem?: string
  readonly answer?: QueryAnswer
}

async function show(request: FastifyRequest, reply: FastifyReply, shown: Shown): Promise<FastifyReply> {
  return reply.view('analyse.njk', {
    ...shown,
    limits: QUERY_LIMITS,
    onlyNational: request.session!.caseloads === null ? null : ONLY_NATIONAL,
    drawn: shown.answer === undefined ? null : drawnAnswer(shown.answer),
    charts: shown.answer === undefined ? await overview(request) : [],
  })
}

/** The API's counts, with the reader's own caseload. */
async function overview(request: FastifyRequest): Promise<Chart[]> {
  if (!request.session!.roles.includes(VIEW_REPORTS)) return []
  const drawn = await Promise.all(
    (['month', 'type', 'prison'] as const).map(async (by) => {
      const { body } = await request.api<z.infer<typeof ReportCounts>>(`/incident-reports/counts?by=${by}`)
      if (body === null) return null
      const bars = body.counts.map((each): Bar => ({ label: each[by] || 'Not known', value: suppressed(each.count) }))
      const ordered =
        by === 'month'
          ? bars.sort((a, b) => (a.label < b.label ? 1 : -1))
          : bars.sort((a, b) => (b.value ?? 0) - (a.value ?? 0) || (a.label < b.label ? -1 : 1))
      return chart(`Incidents by ${by}`, ordered)
    }),
  )
  return drawn.filter((each) => each !== null)
}

/** A text and a number make a chart; anything else is a table alone. */
function drawnAnswer({ columns, rows }: QueryAnswer): Chart | null {
  const isNumber = (i: number): boolean =>
    rows.length > 0 &&
    rows.every((row) => row[i] === null || row[i] === '5 or fewer' || /^-?\d+(\.\d+)?$/.test(row[i]!))
  const value = columns.findLastIndex((_, i) => isNumber(i))
  if (rows.length < 2 || value < 1) return null
  return chart(
    `${columns[value]} by ${columns[0]}`,
    rows.map((row) => ({
      label: (row[0] ?? 'Not known').slice(0, 30),
      value: row[value] === null || row[value] === '5 or fewer' ? null : Math.max(0, Number(row[value])),
    })),
  )
}
