/** The sessions that read beside the stream: all are cut when reading ends. */
import type pg from 'pg'
import { connect, disconnect } from './session.ts'

export interface ReaderSessions {
  /** SOURCE_UNREACHABLE; the signal's reason when it has come. */
  open(): Promise<pg.Client>
  end(client: pg.Client): Promise<void>
  /** Whatever they are doing. */
  cut(): void
}

export function readerSessions(url: string, signal: AbortSignal): ReaderSessions {
  const sessions = new Set<pg.Client>()
  return {
    open: async () => {
      const client = await connect(url)
      if (signal.aborted) await disconnect(client)
      signal.throwIfAborted()
      sessions.add(client)
      // a standby that is away must not hold up the watermarks
      await client.query('SET synchronous_commit = local')
      return client
    },
    end: async (client) => {
      sessions.delete(client)
      await disconnect(client)
    },
    cut: () => {
      for (const client of sessions) client.connection.stream.destroy()
    },
  }
}
