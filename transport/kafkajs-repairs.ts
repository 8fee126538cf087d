/** Two faults of kafkajs 2.2.4 that cost records or patience, mended where they are. */
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

interface Connection {
  chunks: Buffer[]
  bytesBuffered: number
  bytesNeeded: number
  isConnected(): boolean
  connect(): Promise<boolean>
}

interface RequestQueue {
  readonly pending: readonly unknown[]
  readonly throttledUntil: number
  scheduleCheckPendingRequests(): void
}

let repaired = false

/** Does nothing the second time. */
export function repairKafkajs(): void {
  if (repaired) return
  repaired = true
  repairConnect((require('kafkajs/src/network/connection.js') as { prototype: Connection }).prototype)
  repairTimers((require('kafkajs/src/network/requestQueue/index.js') as { prototype: RequestQueue }).prototype)
}

/**
 * A connection that is made again went on with the half of a response that its last socket had left, and read what came
 * as the other half. Two requests that found it closed opened two sockets, whose bytes it mixed.
 */
function repairConnect(prototype: Connection): void {
  const connect = prototype.connect
  const connecting = new WeakMap<Connection, Promise<boolean>>()
  prototype.connect = function (): Promise<boolean> {
    if (this.isConnected()) return Promise.resolve(true)
    const pending = connecting.get(this)
    if (pending !== undefined) return pending
    this.chunks = []
    this.bytesBuffered = 0
    this.bytesNeeded = 4 // the length of the first response
    const mine = connect.call(this).finally(() => connecting.delete(this))
    connecting.set(this, mine)
    return mine
  }
}

/** It set a timer with a negative delay for each response, which Node 22 and later warn about. */
function repairTimers(prototype: RequestQueue): void {
  const schedule = prototype.scheduleCheckPendingRequests
  prototype.scheduleCheckPendingRequests = function (): void {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this)
  }
}
