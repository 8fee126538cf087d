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
import { connect, CONNECT_MS, disconnect, SESSION_OPTIONS, unreachable } from './session.ts'

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

export interface StreamSource {
  readonly slot: string
  readonly publication: string
  /** The server's `server_version_num`. */
  readonly serverVersion: number
}

export interface ReplicationConnection {
  /** A command of the replication protocol; its rows. Rejects with pg's own errors. */
  query(command: string): Promise<readonly Record<string, string | null>[]>
  /** Starts streaming a slot; frames come from `read` afterwards. Status goes out at least every `statusMs`. */
  start(stream: StreamSource, from: Lsn, statusMs: number): void
  /**
   * Waits for frames, at most `waitMs`; empty when none came. When the connection has ended it rejects: SLOT_IN_USE when
   * another process has the slot, SLOT_LOST, SOURCE_UNREACHABLE for everything that may pass.
   */
  read(waitMs: number): Promise<readonly Frame[]>
  /** Tells the server that everything before `lsn` is durable; sent within 100 ms, and again on the timer. */
  confirm(lsn: Lsn): void
  /** Asks the server for a keepalive; without one for long, `read` rejects. */
  ping(): void
  close(): Promise<void>
}

const COPY_DATA = 0x64
/** PostgreSQL makes no message larger: a length that says so is damage, and would be waited for without end. */
const MAX_MESSAGE_BYTES = 2 ** 30 + 1024
const KEEPALIVE = 0x6b
/** Microseconds between the Unix epoch and PostgreSQL's. */
const POSTGRES_EPOCH = 946_684_800_000_000

/**
 * A stream that answers no ping for so many status intervals is dead, whatever the network says: three times as long as
 * the server would wait for us.
 */
const SILENT_STATUSES = 9

interface FrameSource {
  onFrame: ((frame: Frame) => void) | null
  /** The bytes are not messages any more: nothing after them can be read. */
  onDamage: ((error: unknown) => void) | null
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

/** SOURCE_UNREACHABLE, or SLOT_LIMIT when the server has no walsender left. */
export async function connectReplication({ url, aheadBytes }: ReplicationOptions): Promise<ReplicationConnection> {
  const source: FrameSource = { onFrame: null, onDamage: null, socket: null }
  const Connection = framingConnection(source)
  const config = new pg.Client({ connectionString: url })
  const connection = new Connection({ ssl: config.ssl })
  const client = new pg.Client({
    connectionString: url,
    options: SESSION_OPTIONS,
    application_name: 'incidents',
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    replication: 'database',
    connection,
  } as unknown as pg.ClientConfig)

  let frames: Frame[] = []
  let waiting = 0
  let paused = false
  let failure: unknown = null
  let slot = ''
  let silenceMs = Number.POSITIVE_INFINITY
  /** Since when an answer is waited for. */
  let askedAt: number | null = null
  let wake = (): void => {}
  let confirmed: Lsn = 0
  let timer: NodeJS.Timeout | null = null
  let soon: NodeJS.Timeout | null = null

  client.on('error', fail)
  source.onDamage = fail
  client.on('end', () => fail(new Error('the server closed the connection')))
  try {
    await client.connect()
  } catch (cause) {
    throw noneFree(cause) ?? unreachable(url, cause)
  }

  // @ts-expect-error pg does not declare processID
  const pid: number = client.processID

  function fail(error: unknown): void {
    failure ??= error
    wake()
  }

  function onFrame(frame: Frame): void {
    askedAt = null
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
    start: (stream, from, statusMs) => {
      slot = stream.slot
      confirmed = from
      silenceMs = SILENT_STATUSES * statusMs
      source.onFrame = onFrame
      client.query(startCommand(stream)).then(() => fail(new Error('the server ended the stream')), fail)
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
      if (askedAt !== null && performance.now() - askedAt > silenceMs)
        fail(new Error(`it has said nothing for ${Math.round(silenceMs / 1000)} s`))
      if (frames.length === 0 && failure !== null) throw await streamError({ url, slot, pid }, failure)
      const taken = frames
      frames = []
      waiting = 0
      if (paused) {
        paused = false
        askedAt = null // while nobody listened, silence said nothing
        source.socket?.resume()
      }
      return taken
    },
    confirm: (lsn) => {
      if (lsn <= confirmed) return
      confirmed = lsn
      soon ??= setTimeout(() => sendStatus(false), 100)
    },
    ping: () => {
      askedAt ??= performance.now()
      sendStatus(true)
    },
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

/** https://www.postgresql.org/docs/18/errcodes-appendix.html */
const OBJECT_IN_USE = '55006'
const NOT_IN_PREREQUISITE_STATE = '55000'
const TOO_MANY_CONNECTIONS = '53300'
const UNDEFINED_OBJECT = '42704'

interface Reading {
  readonly url: string
  readonly slot: string
  /** The server process that read the slot for us. */
  readonly pid: number
}

async function streamError(reading: Reading, cause: unknown): Promise<PipelineError> {
  if (cause instanceof PipelineError) return cause
  const { url, slot } = reading
  const code = (cause as { code?: string }).code
  const said = cause instanceof Error ? cause.message : ''
  if (code === NOT_IN_PREREQUISITE_STATE || /requested WAL segment .* has already been removed/.test(said)) {
    return lost(`the server no longer has the WAL that slot ${slot} needs: ${said}`, cause)
  }
  if (code === UNDEFINED_OBJECT) {
    return new PipelineError(
      'PUBLICATION',
      `the source cannot send what was written while the publication was missing: ${said}`,
      'Make the publication again, then accept the gap with `incidents source adopt`, which reads everything again.',
      { cause },
    )
  }
  if (code === OBJECT_IN_USE || (await hasSuccessor(reading))) {
    return takenOver(`another process took slot ${slot} over`, cause)
  }
  return unreachable(url, cause)
}

/** How long whoever ended our walsender has to read the slot. */
const SUCCESSOR_MS = 2_000

/** Whether another process reads the slot now: else the server went away, or an administrator ended the connection. */
async function hasSuccessor({ url, slot, pid }: Reading): Promise<boolean> {
  const deadline = performance.now() + SUCCESSOR_MS
  try {
    const client = await connect(url)
    try {
      while (performance.now() < deadline) {
        const { rowCount } = await client.query(
          'SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active_pid <> $2::int',
          [slot, pid],
        )
        if (rowCount === 1) return true
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    } finally {
      await disconnect(client)
    }
  } catch {
    // a server that does not answer has no reader either
  }
  return false
}

export function takenOver(found: string, cause?: unknown): PipelineError {
  return new PipelineError('SLOT_IN_USE', found, 'Let one capture run for each NAMESPACE; this one has stopped.', {
    cause,
  })
}

function malformedMessage(length: number): PipelineError {
  return new PipelineError(
    'MALFORMED_WAL',
    `the replication connection announces a message of ${length} bytes`,
    'Start capture again; if it comes again, look for what damages the connection. Nothing was acknowledged.',
  )
}

export function lost(found: string, cause?: unknown): PipelineError {
  return new PipelineError(
    'SLOT_LOST',
    found,
    'Changes are missing: accept it with `incidents source adopt`, which reads everything again.',
    { cause },
  )
}

function noneFree(cause: unknown): PipelineError | null {
  const { code, message } = cause as { code?: string; message: string }
  if (code !== TOO_MANY_CONNECTIONS) return null
  return new PipelineError(
    'SLOT_LIMIT',
    `the source has no connection left for replication: ${message}`,
    'Raise max_wal_senders or max_connections and restart the server, or end a connection that nobody needs.',
    { cause },
  )
}

const ORIGIN_SINCE = 160_000

/**
 * The command that starts pgoutput from a slot's confirmed position. Large transactions are streamed while they run, so
 * that the server need not keep them; where rows come from does not matter.
 */
function startCommand({ slot, publication, serverVersion }: StreamSource): string {
  const options = [
    "proto_version '2'",
    `publication_names '"${publication}"'`,
    "messages 'true'",
    "streaming 'on'",
    ...(serverVersion >= ORIGIN_SINCE ? ["origin 'any'"] : []),
  ]
  return `START_REPLICATION SLOT "${slot}" LOGICAL ${lsnText(0)} (${options.join(', ')})`
}
