/** Waiting that a signal ends. */

/** All have ended, then the first error: a worker that goes on would use what the others leave. */
export async function allOf(work: readonly Promise<void>[]): Promise<void> {
  const ended = await Promise.allSettled(work)
  const failed = ended.find((each) => each.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/** What is waited for, or the signal's reason. */
export function unlessStopped<T>(waited: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stopped = (): void => reject(signal.reason as Error)
    if (signal.aborted) return stopped()
    signal.addEventListener('abort', stopped, { once: true })
    waited.finally(() => signal.removeEventListener('abort', stopped)).then(resolve, reject)
  })
}

/** Rejects with the signal's reason when it comes first. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error)
    const stopped = (): void => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(
      () => {
        signal.removeEventListener('abort', stopped)
        resolve()
      },
      Math.max(0, ms),
    )
    signal.addEventListener('abort', stopped, { once: true })
  })
}
