/**
 * Reading rows again while the stream runs: what was asked for (reread-request.ts), a table after the other
 * (table-reader.ts), each in windows between two watermarks (windows.ts). A crash costs at most one chunk per worker.
 */
import { randomUUID } from 'node:crypto'
import { readerSessions } from './reader-sessions.ts'
import { requestReader, type RereadOptions } from './reread-request.ts'
import { holdOf, requestOf, requestPrefix, type Request } from './requests.ts'
import type { StreamObserver } from './stream.ts'
import { watermarkPrefix } from './watermarks.ts'
import { windows } from './windows.ts'

export interface Rereads {
  readonly observer: StreamObserver
  /** Serves what an earlier process left over, and what is asked for from now on. */
  begin(): void
  /** Reads a table again, and deletes what the source has no more: durable when it returns. */
  queue(table: string): void
  /** Ends what is being read; it goes on where it was. */
  close(): Promise<void>
}

/** The request that makes the topic whole for the first time, with its epoch behind. */
export const FIRST_SNAPSHOT = 'first snapshot of epoch'

export function rereads(options: RereadOptions): Rereads {
  const { requests, namespace, warn } = options
  const stop = new AbortController()
  const { signal } = stop
  const sessions = readerSessions(options.url, signal)
  const beside = windows({ ...options, signal })
  const serve = requestReader(options, { sessions, beside, signal })
  let failure: unknown = null
  let serving: Promise<void> | null = null
  /** Whether a request may be open: at first for what an earlier process left. */
  let asked = true
  let begun = false

  async function serveAll(): Promise<void> {
    const heldUp = new Set<string>()
    for (let next = requests.next(heldUp); next !== null && !signal.aborted; next = requests.next(heldUp)) {
      if (!(await serve(next.id, next.request))) heldUp.add(next.id)
    }
    if (!beside.rememberTooMuch) return
    const client = await sessions.open()
    await beside.forget(client).finally(() => sessions.end(client))
  }

  /** Whether there is something to do is looked at each time the stream rests. */
  function wake(): void {
    if (!begun || serving !== null || signal.aborted || failure !== null) return
    if (!asked && !beside.rememberTooMuch) return
    asked = false
    serving = serveAll()
      .catch((error: unknown) => {
        if (!signal.aborted) failure = error
      })
      .finally(() => (serving = null))
  }

  function want(id: string, request: Request): void {
    requests.add(id, request)
    asked = true
  }

  return {
    queue: (table) => want(randomUUID(), { kind: 'tables', tables: [table], sweep: true }),
    observer: {
      committed: beside.committed,
      moved: (reference, at) => want(`moved ${at}`, { kind: 'incidents', references: [reference] }),
      message: ({ prefix, content }) => {
        if (prefix === watermarkPrefix(namespace)) return beside.message(content.toString('utf8'))
        if (prefix !== requestPrefix(namespace)) return
        const hold = holdOf(content)
        if (hold !== null) {
          requests.hold(hold.tables, hold.kind)
          asked = true
          return
        }
        const found = requestOf(content)
        if (found === null) return warn('a request to read rows again is malformed: it is left aside')
        want(found.id, found.request)
      },
      pending: async () => {
        if (failure !== null) throw failure
        wake()
        return beside.next()
      },
    },
    begin: () => {
      begun = true
    },
    close: async () => {
      stop.abort(new Error('stopped'))
      sessions.cut()
      await serving
    },
  }
}
