/** The bound of the topic file: a write that would go beyond it waits until there is room. */
import { setTimeout } from 'node:timers/promises'
import { PipelineError } from '../core/error.ts'

const POLL_MS = 200

export interface Room {
  /** Resolves when so many bytes fit, in the order of the calls. TOPIC_FULL when they never can. */
  make(bytes: number): Promise<void>
  /** Since when somebody waits (milliseconds since the Unix epoch); null when nobody does. */
  fullSince(): number | null
}

export interface RoomOptions {
  readonly path: string
  readonly maxBytes: number
  readonly used: () => number
  /** Makes room where that is possible. */
  readonly prune: () => Promise<number>
  readonly signal: AbortSignal
}

export function room({ path, maxBytes, used, prune, signal }: RoomOptions): Room {
  let queue = Promise.resolve()
  let waiting = 0
  let since: number | null = null

  async function wait(bytes: number): Promise<void> {
    while (used() + bytes > maxBytes) {
      since ??= Date.now()
      if (signal.aborted) throw full(`${path} was closed while a write waited for room`)
      await prune()
      if (used() + bytes > maxBytes) await setTimeout(POLL_MS, undefined, { signal }).catch(() => {})
    }
    since = null
  }

  function full(message: string): PipelineError {
    return new PipelineError(
      'TOPIC_FULL',
      `The topic file ${message}.`,
      'Bring the sinks that are behind up again (`status` names them), or give the embedded topics more bytes.',
    )
  }

  return {
    make: (bytes) => {
      if (bytes > maxBytes) {
        return Promise.reject(full(`${path} may hold ${maxBytes} bytes, but one write has ${bytes}`))
      }
      if (waiting === 0 && used() + bytes <= maxBytes) return Promise.resolve()
      waiting += 1
      const mine = queue.then(() => wait(bytes)).finally(() => (waiting -= 1))
      queue = mine.catch(() => {})
      return mine
    },
    fullSince: () => since,
  }
}
