/** How long a broker's fault is ridden out, and what is one. */
import { setTimeout } from 'node:timers/promises'
import { PipelineError } from '../core/error.ts'

const FIRST_PAUSE_MS = 5
const LONGEST_PAUSE_MS = 500

export interface Patience {
  /** `performance.now()` from which a fault is no longer ridden out. */
  readonly until: number
  readonly signal?: AbortSignal | undefined
  /** Which errors are ridden out; by default all that pass by themselves. */
  retries?(error: unknown): boolean
  /** What to do before trying again. */
  mend?(error: unknown): Promise<void>
}

/**
 * Tries until it succeeds, the error is none that passes by itself, or the time is over; rejects with the last error.
 * Pauses grow from 5 ms: a transaction that follows another closely is refused for some milliseconds only.
 */
export async function retrying<T>(
  attempt: () => Promise<T>,
  { until, signal, mend, retries = passes }: Patience,
): Promise<T> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await attempt()
    } catch (error) {
      if (!retries(error) || performance.now() + pause > until || signal?.aborted === true) throw error
      await setTimeout(pause, undefined, signal === undefined ? {} : { signal }).catch(() => {})
      await mend?.(error).catch(() => {})
    }
  }
}

/** kafkajs calls these final, but they pass. */
const PASSING = new Set([
  'CONCURRENT_TRANSACTIONS',
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSGroupCoordinatorNotFound',
  'KafkaJSLockTimeout',
  'KafkaJSRequestTimeoutError',
])

/** Whether trying again unchanged can help. */
export function passes(error: unknown): boolean {
  const cause = root(error)
  if (!(cause instanceof Error) || cause instanceof PipelineError) return false
  if (PASSING.has(cause.name) || PASSING.has(typeOf(cause))) return true
  return cause.name.startsWith('KafkaJS') && 'retriable' in cause && cause.retriable === true
}

/** The error passes by itself, and what was sent has certainly not been written. */
export function wasRefused(error: unknown): boolean {
  const cause = root(error)
  return REFUSALS.has(typeOf(cause)) || (cause instanceof Error && cause.name === 'KafkaJSBrokerNotFound')
}

const REFUSALS = new Set([
  'LEADER_NOT_AVAILABLE',
  'NOT_ENOUGH_REPLICAS',
  'NOT_LEADER_FOR_PARTITION',
  'UNKNOWN_TOPIC_OR_PARTITION',
])

/** The protocol's name of the error; '' when it is none of the protocol's. */
export function typeOf(error: unknown): string {
  const cause = root(error)
  return cause instanceof Error && 'type' in cause && typeof cause.type === 'string' ? cause.type : ''
}

/** Another producer has taken over this one's transactional id. */
export function isFenced(error: unknown): boolean {
  return ['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED', 'INVALID_PRODUCER_ID_MAPPING', 'INVALID_TXN_STATE'].includes(
    typeOf(error),
  )
}

/** The member has to join its group again. */
export function isRebalancing(error: unknown): boolean {
  return ['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID', 'NOT_COORDINATOR_FOR_GROUP'].includes(
    typeOf(error),
  )
}

/** What the brokers' error means here; any other error as it is. `what` continues "could not". */
export function brokerError(brokers: readonly string[], what: string, error: unknown): unknown {
  const cause = root(error)
  if (!(cause instanceof Error && cause.name.startsWith('KafkaJS'))) return error
  if (typeOf(error) === 'MESSAGE_TOO_LARGE') {
    return new PipelineError(
      'RECORD_TOO_LARGE',
      `The pipeline could not ${what} at ${brokers.join(', ')}: a record is larger than the topic takes.`,
      'Raise max.message.bytes of the topic to what it was made with.',
      { cause: error },
    )
  }
  return new PipelineError(
    'BROKER',
    `The pipeline could not ${what} at ${brokers.join(', ')}: ${cause.message}.`,
    'Check that the brokers are up and can be reached from here, and that the credentials and their rights are right.',
    { cause: error },
  )
}

/** kafkajs wraps an error once for each layer that gave up. */
function root(error: unknown): unknown {
  let cause = error
  while (cause instanceof Error && cause.name.startsWith('KafkaJS') && cause.cause instanceof Error) cause = cause.cause
  return cause
}
