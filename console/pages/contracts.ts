/** What others may rely on: every subject with its versions, fields, clearances and readers. */
import type { FastifyInstance } from 'fastify'
import { mayOpen } from '../navigation.ts'
import type { ContractVersion } from '../contract-state.ts'
import { HOPS, type Hop, type Sample } from '../hops.ts'
import type { Operations } from '../operations.ts'

export function contractsPages(operations: Operations) {
  return (app: FastifyInstance): void => {
    app.get('/contracts', async (request, reply) => {
      if (!(await mayOpen(request, reply, []))) return reply
      const subjects = await operations.contracts().catch(() => null)
      const topics = subjects === null ? null : [...Map.groupBy(subjects, ({ topic }) => topic)]
      return reply.view('contracts.njk', {
        topics: topics?.map(([name, its]) => ({ name, subjects: its })) ?? null,
      })
    })
    app.get('/contracts/:subject', async (request, reply) => {
      if (!(await mayOpen(request, reply, []))) return reply
      const { subject } = request.params as { subject: string }
      const found = (await operations.contracts()).find((each) => each.subject === subject)
      if (found === undefined) return reply.callNotFound()
      const sample = operations.pipeline().samples.at(-1)
      const outputs = Object.keys(found.clearances)
      return reply.view('contract.njk', {
        found,
        outputs,
        fields: found.versions.at(-1)!.fields.map((field) => ({
          ...field,
          clearances: outputs.map((output) => found.clearances[output]?.[field.name] ?? null),
        })),
        consumers: found.consumers.map((each) => ({ ...each, lag: lagOf(sample, each.from) })),
        changes: found.versions.slice(1).map((version, i) => ({
          from: found.versions[i]!.version,
          to: version.version,
          fields: versionDifference(found.versions[i]!, version),
        })),
      })
    })
  }
}

function lagOf(sample: Sample | undefined, from: string): number | null {
  const hop: Hop = HOPS.find((each) => each === from) ?? 'governed'
  return sample?.hops[hop].lagSeconds ?? null
}

/** What a reader of the older version meets in the newer one. */
export function versionDifference(
  before: ContractVersion,
  after: ContractVersion,
): { readonly name: string; readonly change: string }[] {
  const [old, now] = [before, after].map(({ fields }) => new Map(fields.map((field) => [field.name, field])))
  const names = [...new Set([...old!.keys(), ...now!.keys()])]
  return names.flatMap((name) => {
    const [was, is] = [old!.get(name), now!.get(name)]
    if (was === undefined) return [{ name, change: `appears as ${is!.type}` }]
    if (is === undefined) return [{ name, change: 'vanishes' }]
    if (was.type !== is.type) return [{ name, change: `changes from ${was.type} to ${is.type}` }]
    return was.meaning === is.meaning ? [] : [{ name, change: 'is described in other words' }]
  })
}
