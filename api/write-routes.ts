/** Every route that writes to the incident database, or tells of the move to it. */
import type { FastifyInstance } from 'fastify'
import type pg from 'pg'
import type { Clock } from './clock.ts'
import { nomisStatusRoutes } from './nomis-status-routes.ts'
import { answerRefusals } from './refusal.ts'
import { historyRecordRoutes } from './history-record-routes.ts'
import { mappingRoutes } from './mapping.ts'
import { reportRoutes } from './report-routes.ts'
import { rolloutRoutes } from './rollout.ts'
import { syncRoutes } from './sync-routes.ts'

export interface WriteOptions {
  /** Of api/source.ts. It stays the caller's to end. */
  readonly source: pg.Pool
  readonly clock?: Clock
}

export function writeRoutes(server: FastifyInstance, { source, clock = () => new Date() }: WriteOptions): void {
  void server.register(async (app) => {
    answerRefusals(app)
    syncRoutes(app, source, clock)
    reportRoutes(app, source, clock)
    mappingRoutes(app, source)
    historyRecordRoutes(app, source)
    nomisStatusRoutes(app, source, clock)
    rolloutRoutes(app, source, clock)
  })
}
