/** Temporary: until the routes are there. */
import Fastify from 'fastify'
export async function serveApi({ host, port }: { databaseUrl: string; host: string; port: number; log: unknown }) {
  const server = Fastify()
  server.get('/incident-reports/:id', () => ({ reportReference: '-', status: '-' }))
  return { url: await server.listen({ host, port }), close: () => server.close() }
}
