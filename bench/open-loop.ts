/** Requests at a fixed rate, whatever the answers do; each is timed from when it was due. */
import { Agent, request } from 'node:http'

/** As many as CatTool's own agent. */
const SOCKETS = 100

export interface Asker {
  /** Status and body; the body is read whole. */
  get(path: string): Promise<{ status: number; body: string }>
  close(): void
}

export function asker(url: string, token: string): Asker {
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS })
  const headers = { authorization: `Bearer ${token}` }
  return {
    get: (path) =>
      new Promise((resolve, reject) => {
        const sent = request(`${url}${path}`, { agent, headers }, (response) => {
          let body = ''
          response.setEncoding('utf8')
          response.on('data', (chunk: string) => (body += chunk))
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
          response.on('error', reject)
        })
        sent.on('error', reject)
        sent.end()
      }),
    close: () => agent.destroy(),
  }
}

interface Asked {
  readonly perSecond: number
  readonly seconds: number
  readonly next: (i: number) => { kind: string; path: string }
}

/** Milliseconds by kind. Rejects when an answer is not 200. */
export async function openLoop(to: Asker, { perSecond, seconds, next }: Asked): Promise<Map<string, number[]>> {
  const times = new Map<string, number[]>()
  const pending: Promise<void>[] = []
  let failure: Error | null = null
  const begun = performance.now()
  for (let i = 0; i < perSecond * seconds; i++) {
    const due = begun + (i * 1000) / perSecond
    const wait = due - performance.now()
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
    const { kind, path } = next(i)
    const taken = times.get(kind) ?? []
    times.set(kind, taken)
    pending.push(
      to.get(path).then(
        ({ status }) => {
          if (status !== 200) failure ??= new Error(`${status} for a request of kind ${kind}`)
          taken.push(performance.now() - due)
        },
        (error: Error) => void (failure ??= error),
      ),
    )
  }
  await Promise.all(pending)
  if (failure !== null) throw failure
  return times
}

/** Of unsorted milliseconds, to a tenth. */
export function percentile(times: readonly number[], p: number): number {
  const sorted = times.toSorted((a, b) => a - b)
  const at = Math.min(sorted.length - 1, Math.ceil((sorted.length * p) / 100) - 1)
  return Math.round((sorted[Math.max(0, at)] ?? Number.NaN) * 10) / 10
}
