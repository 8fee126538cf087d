/** Each sink alone: the raw topic is filled already, one process reads it into one place, from its first flush to its last. */
import pg from 'pg'
import { parseConfig } from '../config.ts'
import { initSource } from '../connectors/postgres/source-schema.ts'
import { logger, metrics } from '../observability.ts'
import { SINKS, type SinkName } from '../sinks/names.ts'
import { kafkaRuntime, type Runtime } from '../runtime.ts'
import { bulkChanges } from '../workload/bulk.ts'
import { seedReports } from '../workload/load.ts'
import { resultOf, type BenchOptions, type Result, type Run } from './result.ts'
import { environmentOf, startServices } from './services.ts'
import { hopRun } from './walk.ts'

const REPORTS = 1000

export async function deliverBench({ what, rows, runs }: BenchOptions): Promise<Result[]> {
  const sinks = SINKS.filter((name) => what === undefined || name === what)
  if (sinks.length === 0) throw new Error(`--what is one of ${SINKS.join(', ')}`)
  const services = await startServices()
  const environment = environmentOf(services)
  const client = new pg.Client({ connectionString: services.databaseUrl })
  await client.connect()
  const measured = new Map<SinkName, Run[]>(sinks.map((name) => [name, []]))
  let runtime: Runtime | null = null
  try {
    await initSource(services.databaseUrl, { publication: environment.NAMESPACE })
    await seedReports(client, { seed: 1, reports: REPORTS })
    runtime = await kafkaRuntime({ config: parseConfig(environment), log: logger('silent'), metrics: metrics() })
    for (const hop of ['capture', ...sinks] as const) await hopRun(hop, runtime, client, environment)
    for (let run = 0; run < runs; run++) {
      await bulkChanges(client, { seed: run + 2, rows })
      await hopRun('capture', runtime, client, environment)
      for (const name of sinks) measured.get(name)!.push(await hopRun(name, runtime, client, environment))
    }
  } finally {
    await runtime?.transport.close()
    await client.end()
    await services.stop()
  }
  return sinks.map((name) => resultOf('deliver', name, measured.get(name)!))
}
