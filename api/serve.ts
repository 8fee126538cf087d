import type { FastifyBaseLogger } from 'fastify'
import { PipelineError } from '../core/error.ts'
import { openDatabase } from './database.ts'
import type { Build } from './health.ts'
import { buildServer } from './server.ts'

export interface ServeOptions {
  /** The operational store. */
  readonly databaseUrl: string
  readonly host: string
  /** 0 for any that is free. */
  readonly port: number
  readonly log?: FastifyBaseLogger
  readonly build?: Build
}

export interface Serving {
  /** `http://127.0.0.1:8080` */
  readonly url: string
  /** Answers what has been asked, then ends. */
  close(): Promise<void>
}

/** As long as the API does not ask who is calling, nobody outside this host may. */
const LOOPBACK: readonly string[] = ['127.0.0.1', '::1', 'localhost']

/** Opens the API's port. The store need not be there yet. CONFIG for a host that others reach or a port that is taken. */
export async function serveApi(options: ServeOptions): Promise<Serving> {
  const { databaseUrl, host, port, log, build } = options
  if (!LOOPBACK.includes(host)) {
    throw new PipelineError(
      'CONFIG',
      `the API was to listen on ${host}, but it does not ask who is calling`,
      'Let it listen on 127.0.0.1.',
    )
  }
  const database = openDatabase(databaseUrl)
  const app = await buildServer({
    database,
    ...(log === undefined ? {} : { log }),
    ...(build === undefined ? {} : { build }),
  })
  const close = async (): Promise<void> => {
    await app.close()
    await database.end()
  }
  try {
    return { url: await app.listen({ host, port }), close }
  } catch (error) {
    await close()
    throw new PipelineError(
      'CONFIG',
      `the API cannot listen on ${host}:${port}: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`,
      'Set PORT to one that is free.',
    )
  }
}
