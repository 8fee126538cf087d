/**
 * The replication connection: frames in, status out. It is pg's own connection (authentication, TLS and errors stay
 * pg's) but for CopyData, which is cut out of the socket's chunks without a copy.
 * https://www.postgresql.org/docs/18/protocol-replication.html
 */
import pg from 'pg'
import { lsnText, type Lsn } from '../../core/position.ts'
import { POSTGRES_EPOCH } from './frame-reader.ts'
import { framingConnection, type Frame, type FrameSource } from './framing.ts'
import { noneFree, streamError } from './replication-errors.ts'
import { CONNECT_MS, SESSION_OPTIONS, unreachable } from './session.ts'
import type { Reached } from './steps.ts'

export interface ReplicationOptions {
  readonly url: string
  /** How many bytes of frames may wait to be read before the socket is left alone. */
  readonly aheadBytes: number
  readonly reached?: Reached | undefined
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

const KEEPALIVE = 0x6b

/**
 * A stream that answers no ping for so many status intervals is dead, whatever the network says: three times as long as
 * the server would wait for us.
 */
const SILENT_STATUSES = 9

/** SOURCE_UNREACHABLE, or SLOT_LIMIT when the server has no walsender left. */
export async function connectReplication({
  url,
  aheadBytes,
  reached,
}: ReplicationOptions): Promise<ReplicationConnection> {
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
  let told: Lsn = 0
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
    if (confirmed > told) reached?.('told')
    told = confirmed
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
