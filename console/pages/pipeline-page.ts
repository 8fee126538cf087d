/** The first page: where the data is, how far behind, and how long the source can wait. */
import type { FastifyInstance } from 'fastify'
import { pipelineMap, TITLES } from '../map.ts'
import { mayOpen } from '../navigation.ts'
import { HOPS, type Hop } from '../hops.ts'
import type { Operations, OperatorEvent } from '../operations.ts'

/** What still holds while a hop does not run. */
const STILL: Readonly<Record<Hop, string>> = {
  source: 'Topics, files and stores keep what they have. Nothing is lost: the slot keeps what is to come.',
  capture: 'Nothing new comes in; every place keeps what it has. The source keeps its WAL until capture is back.',
  raw: 'Files, stores and the API keep what they have. The source keeps its WAL until the topic is back.',
  unify: 'The governed topics get nothing new. DPR, the API and analytics go on.',
  governed: 'Readers of the governed topics get nothing new. DPR, the API and analytics go on.',
  'dpr-raw': 'DPR gets no new files. The API, analytics and the governed topics go on.',
  operational: 'The API answers with what it has. DPR, analytics and the governed topics go on.',
  analytics: 'Analysts see what was published last. DPR, the API and the governed topics go on.',
  api: 'Nobody can ask the API. Topics, files, store and analytics go on.',
}

const READING = 'Its rows come in and go on to every place; what changes meanwhile is kept, and follows.'

export function pipelinePage(operations: Operations) {
  return (app: FastifyInstance): void => {
    app.get('/', async (request, reply) => {
      if (!(await mayOpen(request, reply, []))) return reply
      const still = (request.query as { still?: unknown }).still !== undefined
      return reply.view('pipeline.njk', { ...now(operations), events: await told(operations), still })
    })
    app.get('/pipeline/now', async (request, reply) => {
      if (request.session === null) return reply.code(401).send()
      return reply.view('pipeline-now.njk', now(operations))
    })
  }
}

function now(operations: Operations) {
  const pipeline = operations.pipeline()
  const sample = pipeline.samples.at(-1) ?? null
  const troubles =
    sample === null
      ? []
      : HOPS.filter((hop) => sample.hops[hop].state !== 'running').map((hop) => ({
          title: TITLES[hop],
          state: sample.hops[hop].state,
          says: sample.hops[hop].says,
          since: moment(pipeline.since(hop)),
          still: sample.hops[hop].state === 'reading' ? READING : STILL[hop],
        }))
  return {
    sample,
    at: moment(sample?.at ?? null),
    hops: sample === null ? [] : HOPS.map((hop) => ({ hop, title: TITLES[hop], ...sample.hops[hop] })),
    maps: [pipelineMap(pipeline, 'wide'), pipelineMap(pipeline, 'narrow')],
    troubles,
  }
}

/** Null where they are kept and cannot be read at the moment. */
async function told(operations: Operations): Promise<readonly OperatorEvent[] | null> {
  return operations.events().catch(() => null)
}

function moment(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString()
}
