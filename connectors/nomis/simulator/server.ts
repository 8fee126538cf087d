/** A NOMIS to migrate from: incidents out of a seed over HTTP, changes on request, and faults on request. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { simulatedIncident, type SimulatedChange } from './incident.ts'

/** What goes wrong with an answer: late, 500, broken off in the middle, or the page before once more. */
export type Fault = 'slow' | 'error' | 'half' | 'repeat'

export interface SimulatorOptions {
  readonly incidents: number
  readonly seed?: number
  readonly port?: number
  /** Asked for each request; the first request has number 1. */
  readonly fault?: (request: number, path: string) => Fault | null
  /** Of a slow answer. */
  readonly slowMs?: number
  /** Prisons and types whose incidents NOMIS only edits: a new one is refused. */
  readonly editOnly?: readonly { readonly prison: string; readonly type: string }[]
  /** Fields that stand in place of an incident's own, for one that is broken from the start. */
  readonly fields?: Readonly<Record<number, object>>
}

export interface Simulator {
  readonly url: string
  /** How many requests there were. */
  requests(): number
  /** An incident that somebody changes in NOMIS; refused for one that is not there. */
  change(id: number, change?: Pick<SimulatedChange, 'status' | 'fields'>): void
  /** A new incident; its id, or null where its prison and type are edit-only. */
  create(): number | null
  remove(id: number): void
  close(): Promise<void>
}

export const FIRST_ID = 100_001
/** Of an answer about changes. */
const CHANGES_PAGE = 500

export async function nomisSimulator(options: SimulatorOptions): Promise<Simulator> {
  const { seed = 1, fault = () => null, slowMs = 500, editOnly = [], fields = {} } = options
  let incidents = options.incidents
  let requests = 0
  let clock = 0
  /** Only what is unlike its seed: in the order of the changes. */
  const changed = new Map<number, SimulatedChange & { readonly tick: number }>()

  const alter = (id: number, change: Partial<SimulatedChange>): void => {
    const held = changed.get(id)
    changed.delete(id)
    changed.set(id, {
      ...held,
      ...change,
      version: (held?.version ?? 0) + 1,
      deleted: change.deleted ?? false,
      at: '2026-06-01T09:00:00',
      tick: ++clock,
    })
  }
  const incident = (id: number): object | null => {
    if (id < FIRST_ID || id >= FIRST_ID + incidents || changed.get(id)?.deleted === true) return null
    const made = simulatedIncident(seed, id, changed.get(id))
    return fields[id] === undefined ? made : { ...made, ...fields[id] }
  }

  const answer = (url: URL, repeat: boolean): object | null => {
    const [, resource, what = ''] = url.pathname.split('/')
    if (resource !== 'incidents') return null
    if (what === 'ids') {
      const size = Math.min(1_000, Number(url.searchParams.get('size') ?? 20))
      const page = Math.max(0, Number(url.searchParams.get('page') ?? 0) - (repeat ? 1 : 0))
      const first = FIRST_ID + page * size
      const last = Math.min(first + size, FIRST_ID + incidents)
      const ids = Array.from({ length: Math.max(0, last - first) }, (_, i) => first + i)
      return {
        // a number that was taken away leaves a gap that its page shows
        content: ids.filter((id) => changed.get(id)?.deleted !== true).map((incidentId) => ({ incidentId })),
        totalElements: incidents,
        number: page,
        size,
      }
    }
    if (what === 'changes') {
      const since = Number(url.searchParams.get('since') ?? clock)
      const later = [...changed].filter(([, { tick }]) => tick > since)
      const content = later.slice(0, CHANGES_PAGE)
      return {
        content: content.map(([incidentId]) => ({ incidentId })),
        upTo: String(content.at(-1)?.[1].tick ?? clock),
        more: later.length > content.length,
      }
    }
    return incident(Number(what))
  }

  const server = createServer((request, response) => {
    requests += 1
    const url = new URL(request.url ?? '/', 'http://nomis')
    const wrong = fault(requests, url.pathname)
    if (wrong === 'error') return void response.writeHead(500).end()
    const found = answer(url, wrong === 'repeat')
    if (found === null) return void response.writeHead(404).end()
    const text = Buffer.from(JSON.stringify(found))
    if (wrong === 'half') return half(response, text)
    const send = (): void =>
      void response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length }).end(text)
    if (wrong === 'slow') setTimeout(send, slowMs)
    else send()
  })
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: () => requests,
    change: (id, change = {}) => {
      if (incident(id) === null) throw new RangeError('NOMIS has no such incident')
      alter(id, change)
    },
    create: () => {
      const id = FIRST_ID + incidents
      const made = simulatedIncident(seed, id) as { agency: { code: string }; type: string }
      if (editOnly.some(({ prison, type }) => prison === made.agency.code && type === made.type)) return null
      incidents += 1
      alter(id, {})
      return id
    },
    remove: (id) => alter(id, { deleted: true }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function half(response: ServerResponse, text: Buffer): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length })
  response.write(text.subarray(0, text.length >> 1), () => response.destroy())
}
