/** A capture in a process of its own; the parent is its topic. The other half is support/capture-child.ts. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Change } from '../../core/change.ts'

const CHILD = fileURLToPath(new URL('capture-child.ts', import.meta.url))

export interface CaptureProcess {
  /** Resolves once it has written something. */
  started(): Promise<void>
  freeze(): void
  thaw(): void
  kill(): void
  /** The code of the error that ended it. */
  ended: Promise<string>
}

/** What it writes is appended to `topic`, and is durable there. */
export function captureProcess(
  options: {
    readonly url: string
    readonly name: string
    readonly stateDirectory: string
    readonly chunkBytes?: number
  },
  topic: Change[],
): CaptureProcess {
  const more = options.chunkBytes === undefined ? [] : [String(options.chunkBytes)]
  const child = fork(CHILD, [options.url, options.name, options.stateDirectory, ...more], { serialization: 'advanced' })
  let code = 'none'
  let begun = (): void => {}
  const first = new Promise<void>((resolve) => (begun = resolve))
  child.on('message', (message: { readonly changes: readonly Change[] } | { readonly code: string } | 'topic') => {
    if (message === 'topic') child.send({ topic })
    else if ('code' in message) code = message.code
    else {
      topic.push(...message.changes)
      begun()
      child.send({ durable: true })
    }
  })
  return {
    started: () => first,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    kill: () => {
      child.kill('SIGCONT')
      child.kill('SIGKILL')
    },
    ended: new Promise((resolve) => child.once('exit', () => resolve(code))),
  }
}
