/** Who waits for a topic in this process: readers for records, and readers of one group for each other. */

export interface Wakers {
  /** Everybody who waits for the topic looks again. */
  wake(topic: string): void
  wakeAll(): void
  /** Resolves when the topic wakes, when `signal` aborts, or after so many milliseconds. */
  wait(topic: string, signal: AbortSignal, ms: number): Promise<void>
  /** Takes a place in the queue of a group's readers. */
  queue(topic: string, group: string): Turn
}

export interface Turn {
  isFirst(): boolean
  leave(): void
}

export function wakers(): Wakers {
  const waiting = new Map<string, Set<() => void>>()
  const queues = new Map<string, object[]>()

  function wake(topic: string): void {
    const woken = waiting.get(topic)
    if (woken === undefined) return
    waiting.delete(topic)
    for (const resume of woken) resume()
  }

  return {
    wake,
    wakeAll: () => {
      for (const topic of waiting.keys()) wake(topic)
    },
    wait: (topic, signal, ms) =>
      new Promise((resolve) => {
        if (signal.aborted) {
          resolve()
          return
        }
        const others = waiting.get(topic) ?? new Set()
        waiting.set(topic, others)
        const resume = (): void => {
          clearTimeout(timer)
          signal.removeEventListener('abort', resume)
          others.delete(resume)
          resolve()
        }
        const timer = setTimeout(resume, ms)
        signal.addEventListener('abort', resume)
        others.add(resume)
      }),
    queue: (topic, group) => {
      const key = JSON.stringify([topic, group])
      const turn = {}
      const queue = queues.get(key) ?? []
      queues.set(key, queue)
      queue.push(turn)
      return {
        isFirst: () => queue[0] === turn,
        leave: () => {
          queue.splice(queue.indexOf(turn), 1)
          if (queue.length === 0) queues.delete(key)
          wake(topic)
        },
      }
    },
  }
}
