/** Why a slot cannot be read, or no longer: what the server said, in the project's words. */
import { PipelineError } from '../../core/error.ts'
import { connect, disconnect, unreachable } from './session.ts'

/** https://www.postgresql.org/docs/18/errcodes-appendix.html */
const OBJECT_IN_USE = '55006'
const NOT_IN_PREREQUISITE_STATE = '55000'
const TOO_MANY_CONNECTIONS = '53300'
const UNDEFINED_OBJECT = '42704'

export interface Reading {
  readonly url: string
  readonly slot: string
  /** The server process that read the slot for us. */
  readonly pid: number
}

/** SLOT_LOST, SLOT_IN_USE, PUBLICATION, or SOURCE_UNREACHABLE for everything that may pass. */
export async function streamError(reading: Reading, cause: unknown): Promise<PipelineError> {
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

export function lost(found: string, cause?: unknown): PipelineError {
  return new PipelineError(
    'SLOT_LOST',
    found,
    'Changes are missing: accept it with `incidents source adopt`, which reads everything again.',
    { cause },
  )
}

/** SLOT_LIMIT when the server has no connection left; null for every other refusal. */
export function noneFree(cause: unknown): PipelineError | null {
  const { code, message } = cause as { code?: string; message: string }
  if (code !== TOO_MANY_CONNECTIONS) return null
  return new PipelineError(
    'SLOT_LIMIT',
    `the source has no connection left for replication: ${message}`,
    'Raise max_wal_senders or max_connections and restart the server, or end a connection that nobody needs.',
    { cause },
  )
}
