/** The bound of the topic file: a write that would go beyond it waits until there is room. */
import { setTimeout } from 'node:timers/promises'
import { PipelineError } from '../core/error.ts'

const POLL_MS = 200

export interface Room {
  /** Runs `work`, which needs so many bytes, once they fit, in the order of the calls. TOPIC_FULL when they never can. */
  take(bytes: number, work: () => void): Promise<void>
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

  async function wait(bytes: number, work: () => void): Promise<void> {
    while (!signal.aborted && used() + bytes > maxBytes) {
      since ??= Date.now()
      if ((await prune()) === 0) await setTimeout(POLL_MS, undefined, { signal }).catch(() => {})
    }
    since = null
    if (signal.aborted) throw full(`${path} was closed while a write waited for room`)
    work()
  }

  function full(message: string): PipelineError {
    return new PipelineError(
      'TOPIC_FULL',
      `The topic file ${message}.`,
      'Bring the sinks that are behind up again (`status` names them), or give the embedded topics more bytes.',
    )
  }

  return {
    take: async (bytes, work) => {
      if (bytes > maxBytes) throw full(`${path} may hold ${maxBytes} bytes, but one write has ${bytes}`)
      if (waiting === 0 && used() + bytes <= maxBytes) {
        work()
        return
      }
      waiting += 1
      const mine = queue.then(() => wait(bytes, work)).finally(() => (waiting -= 1))
      queue = mine.catch(() => {})
      await mine
    },
    fullSince: () => since,
  }
}
