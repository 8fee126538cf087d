/** The connections of one writer: a second is opened when there is more to write than one can take. */
import type pg from 'pg'
import { connectStore } from './operational-connection.ts'

const MOST = 2

export interface Session {
  readonly client: pg.Client
  inTransaction: boolean
  /** Whether it knows the statements of small writes. */
  prepared: boolean
}

export interface Sessions {
  /** One that has nothing to do, once there is one; rejects with what failed meanwhile. */
  idle(): Promise<Session>
  /** The session is not idle before the work has ended. */
  occupy(session: Session, work: Promise<void>): Promise<void>
  /** How many are at work. */
  busy(): number
  end(): Promise<void>
}

export interface SessionsOptions {
  readonly url: string
  readonly schema: string
  /** Makes the temporary tables that each session needs. */
  readonly create: string
}

/** `first` is connected already. */
export async function sessionsOf(first: pg.Client, { url, schema, create }: SessionsOptions): Promise<Sessions> {
  const sessions: Session[] = []
  const working = new Map<Session, Promise<void>>()
  await add(first)

  async function add(client: pg.Client): Promise<Session> {
    const session = { client, inTransaction: false, prepared: false }
    sessions.push(session)
    await client.query(create)
    return session
  }

  async function idle(): Promise<Session> {
    const found = sessions.find((session) => !working.has(session))
    if (found !== undefined) return found
    if (sessions.length < MOST) return add(await connectStore(url, schema))
    await Promise.race(working.values())
    return idle()
  }

  return {
    idle,
    occupy(session, work) {
      const done = work.finally(() => working.delete(session))
      working.set(session, done)
      return done
    },
    busy: () => working.size,
    async end() {
      for (const { client } of sessions) await client.end().catch(() => {})
    },
  }
}
