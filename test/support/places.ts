/** Whether every place holds what the source holds, asked from beside the running pipeline. */
import pg from 'pg'
import { parseConfig } from '../../config.ts'
import { parseLsn } from '../../core/position.ts'
import { logger, metrics } from '../../observability.ts'
import { SINKS } from '../../sinks/names.ts'
import { embeddedRuntime } from '../../runtime.ts'
import type { Comparison } from '../../proof/compare.ts'
import { untilPassed } from '../../proof/progress.ts'
import { provable } from '../../commands/proving.ts'
import { prove } from '../../proof/proof.ts'
import { PATIENCE_MS } from './patience.ts'

/**
 * Waits until a running pipeline has passed what the source has committed now, then calls `stop` and compares. Resolves
 * with every place; the source must rest meanwhile.
 */
export async function comparePlaces(
  environment: Readonly<Record<string, string>>,
  stop: () => Promise<unknown>,
): Promise<readonly Comparison[]> {
  const config = parseConfig(environment)
  const runtime = await embeddedRuntime({ config, log: logger('silent'), metrics: metrics() })
  try {
    await untilPassed(parseLsn(await currentLsn(config.DATABASE_URL!)), {
      ...runtime,
      groups: ['unify', ...SINKS].map((name) => `${config.NAMESPACE}.${name}`),
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    await stop()
    const proof = await prove(await provable(runtime))
    return proof.places
  } finally {
    await runtime.transport.close()
  }
}

async function currentLsn(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')).rows[0]!.lsn
  } finally {
    await client.end()
  }
}
