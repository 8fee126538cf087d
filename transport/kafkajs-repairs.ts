/** Faults of kafkajs 2.2.4's connections that cost records or patience, mended where they are. */
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'

const require = createRequire(import.meta.url)

export interface Connection {
  readonly connectionTimeout: number
  readonly socket?: Socket
  connectionStatus: string
  chunks: Buffer[]
  bytesBuffered: number
  bytesNeeded: number
  isConnected(): boolean
  connect(): Promise<boolean>
  disconnect(): Promise<boolean>
  rejectRequests(error: Error): void
  send(protocol: unknown): Promise<unknown>
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
  const { prototype } = require('kafkajs/src/network/connection.js') as { prototype: Connection }
  repairConnect(prototype)
  repairSend(prototype)
  repairTimers((require('kafkajs/src/network/requestQueue/index.js') as { prototype: RequestQueue }).prototype)
}

/**
 * A connection that is made again went on with the half of a response that its last socket had left, and read what came
 * as the other half. Two requests that found it closed opened two sockets, whose bytes it mixed. A socket that ended
 * before it was connected was waited for without end. The end of a socket that had been given up was taken for that of
 * its successor. Closing what is closed piled up listeners.
 */
function repairConnect(prototype: Connection): void {
  const { connect, disconnect } = prototype
  const connecting = new WeakMap<Connection, Promise<boolean>>()
  prototype.connect = function (): Promise<boolean> {
    if (this.isConnected()) return Promise.resolve(true)
    const pending = connecting.get(this)
    if (pending !== undefined) return pending
    this.chunks = []
    this.bytesBuffered = 0
    this.bytesNeeded = 4 // the length of the first response
    const mine = Promise.race([connect.call(this), late(this.connectionTimeout)]).finally(() => connecting.delete(this))
    connecting.set(this, mine)
    return mine
  }
  prototype.disconnect = async function (): Promise<boolean> {
    if (this.connectionStatus === 'disconnected' && !connecting.has(this)) return true
    const { socket } = this
    await disconnect.call(this)
    for (const event of ['data', 'end', 'error', 'timeout']) socket?.removeAllListeners(event)
    socket?.on('error', () => {})
    return true
  }
}

async function late(timeoutMs: number): Promise<never> {
  await setTimeout(timeoutMs + 1000, undefined, { ref: false })
  const { KafkaJSConnectionError } = require('kafkajs') as { KafkaJSConnectionError: new (message: string) => Error }
  throw new KafkaJSConnectionError('The connection ended before it was made')
}

/** A host that is gone without a word was asked over the same socket again, until the system gave it up. */
function repairSend(prototype: Connection): void {
  const send = prototype.send
  prototype.send = async function (protocol: unknown): Promise<unknown> {
    try {
      return await send.call(this, protocol)
    } catch (error) {
      if (error instanceof Error && error.name === 'KafkaJSRequestTimeoutError') {
        this.rejectRequests(error)
        await this.disconnect()
      }
      throw error
    }
  }
}

/** It set a timer with a negative delay for each response, which Node 22 and later warn about. */
function repairTimers(prototype: RequestQueue): void {
  const schedule = prototype.scheduleCheckPendingRequests
  prototype.scheduleCheckPendingRequests = function (): void {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this)
  }
}
