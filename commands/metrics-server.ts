/** The port on which a process tells its metrics. */
import { createServer } from 'node:http'
import type { Environment } from '../runtime.ts'

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
