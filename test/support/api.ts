/** The API of a test's own: with an identity provider that it has the key of, and audit records that it can read. */
import type { FastifyInstance } from 'fastify'
import type { Audit, AuditRecord } from '../../api/audit.ts'
import { demoIdentity, type DemoIdentity, type TokenFor } from '../../api/demo-identity.ts'
import { buildServer, type ApiOptions } from '../../api/server.ts'

export interface TestApi {
  readonly app: FastifyInstance
  readonly identity: DemoIdentity
  /** What has been recorded so far. */
  readonly records: AuditRecord[]
  /** The headers of a request by this caller; one who reads reports unless given. */
  as(caller?: TokenFor): Promise<{ authorization: string }>
}

/** Ends with `app.close()`; the database stays the test's to end. */
export async function testApi(
  options: Omit<ApiOptions, 'verify' | 'audit'> & Partial<Pick<ApiOptions, 'verify' | 'audit'>>,
): Promise<TestApi> {
  const identity = await demoIdentity({ production: false })
  const records: AuditRecord[] = []
  const app = await buildServer({ verify: identity.verify, audit: rememberedIn(records), healthCacheMs: 0, ...options })
  return { app, identity, records, as: async (caller) => ({ authorization: `Bearer ${await identity.token(caller)}` }) }
}

function rememberedIn(records: AuditRecord[]): Audit {
  return {
    write: async (record) => void records.push(record),
    ready: async () => {},
  }
}
