import { PipelineError } from '../core/error.ts'
import { buildConsole, type ConsoleOptions } from './server.ts'

export interface ConsoleServeOptions extends ConsoleOptions {
  readonly host: string
  /** 0 for any that is free. */
  readonly port: number
}

/** Opens the console's port. CONFIG when it is taken. */
export async function serveConsole(
  options: ConsoleServeOptions,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const { host, port } = options
  const app = await buildConsole(options)
  try {
    return { url: await app.listen({ host, port }), close: () => app.close() }
  } catch (error) {
    await app.close()
    throw new PipelineError(
      'CONFIG',
      `the console cannot listen on ${host}:${port}: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`,
      'Set CONSOLE_PORT to one that is free.',
    )
  }
}
