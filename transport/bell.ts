/** Something has happened: whoever waits looks again. */
export interface Bell {
  ring(): void
  /** Resolves at the next ring, after so many milliseconds, or at the abort; never rejects. */
  heard(ms: number, signal: AbortSignal): Promise<void>
}

export function bell(): Bell {
  let waiting = new Set<() => void>()
  return {
    ring: () => {
      const woken = waiting
      waiting = new Set()
      for (const resume of woken) resume()
    },
    heard: (ms, signal) =>
      new Promise((resolve) => {
        const resume = (): void => {
          clearTimeout(timer)
          signal.removeEventListener('abort', resume)
          waiting.delete(resume)
          resolve()
        }
        const timer = setTimeout(resume, ms)
        signal.addEventListener('abort', resume)
        waiting.add(resume)
        if (signal.aborted) resume()
      }),
  }
}
