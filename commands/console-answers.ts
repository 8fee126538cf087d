/** Asking what may not answer: connections that give up, and answers that come in time or not at all. */
import pg from 'pg'

/** What does not answer for so long is away. */
export const ANSWER_MS = 4_000

/** One connection, which is opened when it is asked. */
export function askingPool(url: string): pg.Pool {
  const opened = new pg.Pool({
    connectionString: url,
    max: 1,
    connectionTimeoutMillis: ANSWER_MS,
    query_timeout: ANSWER_MS,
    application_name: 'incidents console',
  })
  opened.on('error', () => {})
  return opened
}

/** Null when it fails or does not come in time. */
export async function inTime<T>(work: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>((resolve) => (timer = setTimeout(() => resolve(null), ANSWER_MS + 1_000)))
  return Promise.race([work.catch(() => null), late]).finally(() => clearTimeout(timer))
}
