/**
 * CopyData cut out of the socket's chunks without a copy; everything else of the protocol is parsed by pg.
 * https://www.postgresql.org/docs/18/protocol-message-formats.html
 */
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import pg from 'pg'
import { PipelineError } from '../../core/error.ts'

/** A CopyData body: it lies in `bytes` from `start` to `end`. */
export interface Frame {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

const COPY_DATA = 0x64
/** PostgreSQL makes no message larger: a length that says so is damage, and would be waited for without end. */
const MAX_MESSAGE_BYTES = 2 ** 30 + 1024
export interface FrameSource {
  onFrame: ((frame: Frame) => void) | null
  /** The bytes are not messages any more: nothing after them can be read. */
  onDamage: ((error: unknown) => void) | null
  socket: Duplex | null
}

/** A connection class that cuts CopyData out of what the socket brings; pg-protocol parses the rest. */
export function framingConnection(source: FrameSource): new (config: object) => pg.Connection {
  return class FramingConnection extends pg.Connection {
    // pg's own hook, called once the socket (or its TLS wrapping) is there
    attachListeners(stream: Duplex): void {
      const rest = new EventEmitter()
      // @ts-expect-error pg does not declare attachListeners
      super.attachListeners(rest)
      source.socket = stream
      let partial: Buffer[] = []
      let partialBytes = 0
      let needed = 0
      stream.on('data', (chunk: Buffer) => {
        partial.push(chunk)
        partialBytes += chunk.length
        if (partialBytes < needed) return
        const whole = partial.length === 1 ? chunk : Buffer.concat(partial, partialBytes)
        let used: number
        try {
          used = cut(whole, rest)
        } catch (error) {
          stream.destroy()
          source.onDamage?.(error)
          return
        }
        partial = used === whole.length ? [] : [whole.subarray(used)]
        partialBytes = whole.length - used
        needed = partialBytes >= 5 ? whole.readUInt32BE(used + 1) + 1 : 5
      })
      stream.on('end', () => rest.emit('end'))
    }
  } as unknown as new (config: object) => pg.Connection

  function cut(chunk: Buffer, rest: EventEmitter): number {
    let at = 0
    let other = 0
    while (at + 5 <= chunk.length) {
      const length = chunk.readUInt32BE(at + 1)
      if (length < 4 || length > MAX_MESSAGE_BYTES) throw malformedMessage(length)
      const end = at + 1 + length
      if (end > chunk.length) break
      if (chunk[at] === COPY_DATA && source.onFrame !== null) {
        if (other < at) rest.emit('data', chunk.subarray(other, at))
        source.onFrame({ bytes: chunk, start: at + 5, end })
        other = end
      }
      at = end
    }
    if (other < at) rest.emit('data', chunk.subarray(other, at))
    return at
  }
}

function malformedMessage(length: number): PipelineError {
  return new PipelineError(
    'MALFORMED_WAL',
    `the replication connection announces a message of ${length} bytes`,
    'Start capture again; if it comes again, look for what damages the connection. Nothing was acknowledged.',
  )
}
