/**
 * The replication connection: frames in, status out. It is pg's own connection (authentication, TLS and errors stay
 * pg's) but for CopyData, which is cut out of the socket's chunks without a copy.
 * https://www.postgresql.org/docs/18/protocol-replication.html
 */
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import pg from 'pg'
import { PipelineError } from '../../core/error.ts'
import { lsnText, type Lsn } from '../../core/position.ts'
import { SESSION_OPTIONS, unreachable } from './session.ts'

/** A CopyData body: it lies in `bytes` from `start` to `end`. */
export interface Frame {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

export interface ReplicationOptions {
  readonly url: string
  /** How many bytes of frames may wait to be read before the socket is left alone. */
  readonly aheadBytes: number
}

export interface ReplicationConnection {
  /** A command of the replication protocol; its rows. */
  query(command: string): Promise<readonly Record<string, string | null>[]>
  /** Starts streaming; frames come from `read` afterwards. Status goes out at least every `statusMs`. */
  start(command: string, from: Lsn, statusMs: number): void
  /** Waits for frames, at most `waitMs`; empty when none came. Rejects when the connection has ended. */
  read(waitMs: number): Promise<readonly Frame[]>
  /** Tells the server that everything before `lsn` is durable; sent within 100 ms, and again on the timer. */
  confirm(lsn: Lsn): void
  /** Asks the server for a keepalive. */
  ping(): void
  close(): Promise<void>
}

const COPY_DATA = 0x64
const KEEPALIVE = 0x6b
/** Microseconds between the Unix epoch and PostgreSQL's. */
const POSTGRES_EPOCH = 946_684_800_000_000

interface FrameSource {
  onFrame: ((frame: Frame) => void) | null
  socket: Duplex | null
}

/** Cuts CopyData out of what the socket brings; pg-protocol parses the rest. */
function framingConnection(source: FrameSource): new (config: object) => pg.Connection {
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
        const used = cut(whole, rest)
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
      const end = at + 1 + chunk.readUInt32BE(at + 1)
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

export async function connectReplication({ url, aheadBytes }: ReplicationOptions): Promise<ReplicationConnection> {
  const source: FrameSource = { onFrame: null, socket: null }
  const Connection = framingConnection(source)
  const config = new pg.Client({ connectionString: url })
  const connection = new Connection({ ssl: config.ssl })
  const client = new pg.Client({
    connectionString: url,
    options: SESSION_OPTIONS,
    application_name: 'incidents',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    replication: 'database',
    connection,
  } as unknown as pg.ClientConfig)

  let frames: Frame[] = []
  let waiting = 0
  let paused = false
  let failure: unknown = null
  let wake = (): void => {}
  let confirmed: Lsn = 0
  let timer: NodeJS.Timeout | null = null
  let soon: NodeJS.Timeout | null = null

  client.on('error', fail)
  client.on('end', () => fail(new Error('the server closed the connection')))
  try {
    await client.connect()
  } catch (cause) {
    throw unreachable(url, cause)
  }

  function fail(error: unknown): void {
    failure ??= error
    wake()
  }

  function onFrame(frame: Frame): void {
    if (frame.bytes[frame.start] === KEEPALIVE && frame.bytes[frame.end - 1] === 1) sendStatus(false)
    frames.push(frame)
    waiting += frame.end - frame.start
    if (waiting > aheadBytes && !paused) {
      paused = true
      source.socket?.pause()
    }
    wake()
  }

  function sendStatus(wantsReply: boolean): void {
    if (soon !== null) clearTimeout(soon)
    soon = null
    const status = Buffer.allocUnsafe(34)
    status[0] = 0x72
    for (const at of [1, 9, 17]) status.writeBigUInt64BE(BigInt(confirmed), at)
    status.writeBigInt64BE(BigInt(Date.now()) * 1000n - BigInt(POSTGRES_EPOCH), 25)
    status[33] = wantsReply ? 1 : 0
    ;(connection as unknown as { sendCopyFromChunk(chunk: Buffer): void }).sendCopyFromChunk(status)
  }

  return {
    query: async (command) => (await client.query(command)).rows,
    start: (command, from, statusMs) => {
      confirmed = from
      source.onFrame = onFrame
      client.query(command).then(() => fail(new Error('the server ended the stream')), fail)
      timer = setInterval(() => sendStatus(false), statusMs)
    },
    read: async (waitMs) => {
      if (frames.length === 0 && failure === null) {
        let timeout: NodeJS.Timeout | undefined
        await new Promise<void>((resolve) => {
          wake = resolve
          timeout = setTimeout(resolve, waitMs)
        })
        clearTimeout(timeout)
      }
      if (frames.length === 0 && failure !== null) throw streamError(url, failure)
      const taken = frames
      frames = []
      waiting = 0
      if (paused) {
        paused = false
        source.socket?.resume()
      }
      return taken
    },
    confirm: (lsn) => {
      if (lsn <= confirmed) return
      confirmed = lsn
      soon ??= setTimeout(() => sendStatus(false), 100)
    },
    ping: () => sendStatus(true),
    close: async () => {
      if (timer !== null) clearInterval(timer)
      if (source.onFrame !== null && failure === null) sendStatus(false)
      if (soon !== null) clearTimeout(soon)
      failure ??= new Error('closed')
      wake()
      source.socket?.destroy()
      await client.end().catch(() => {})
    },
  }
}

/** A keepalive's WAL end, sent outside or between transactions. */
export function keepaliveEnd({ bytes, start }: Frame): Lsn | null {
  return bytes[start] === KEEPALIVE ? Number(bytes.readBigUInt64BE(start + 1)) : null
}

function streamError(url: string, cause: unknown): PipelineError {
  const code = (cause as { code?: string }).code
  if (code === '57P01') {
    return new PipelineError(
      'SLOT_IN_USE',
      'another process took the replication slot over',
      'Let one capture run for each namespace; stop this one.',
      { cause },
    )
  }
  const said = cause instanceof Error ? cause.message : ''
  if (code === '55000' || /requested WAL segment .* has already been removed/.test(said)) {
    return new PipelineError(
      'SLOT_LOST',
      `the server no longer has the WAL that the slot needs: ${said}`,
      'Changes are missing: accept it with `incidents source adopt`, which reads everything again.',
      { cause },
    )
  }
  return unreachable(url, cause)
}

/** The command that starts pgoutput from a slot's confirmed position. */
export function startCommand(slot: string, publication: string): string {
  return `START_REPLICATION SLOT "${slot}" LOGICAL ${lsnText(0)} (proto_version '1', publication_names '"${publication}"', messages 'true')`
}
