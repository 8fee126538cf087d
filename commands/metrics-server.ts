/** What a process of the pipeline has from its start: configuration, log and metrics, and the port that tells them. */
import { createServer } from 'node:http'
import type { Config } from '../config.ts'
import type { Logger, Metrics } from '../observability.ts'
import type { Runtime } from '../pipeline.ts'

export interface Environment {
  readonly config: Config
  readonly log: Logger
  readonly metrics: Metrics
  readonly progress?: NonNullable<Runtime['progress']>
}

const METRICS_PATHS = new Set(['/metrics', '/prometheus'])

/** Until the function is called that it gives back. */
export function serveMetrics({ config, metrics, log }: Environment): () => void {
  if (config.METRICS_PORT === 0) return () => {}
  const server = createServer((request, response) => {
    if (!METRICS_PATHS.has(request.url ?? '')) return void response.writeHead(404).end()
    metrics.registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  })
  server.on('error', (error) => log.warn({ port: config.METRICS_PORT }, `metrics are not served: ${error.message}`))
  server.listen(config.METRICS_PORT, '127.0.0.1')
  return () => server.close()
}
