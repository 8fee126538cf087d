/**
 * Everything of the source that keeps the pipeline from running, or will one day: each finding with the SQL that mends
 * it. Only reads. Any role may ask; what a role may not see is itself a finding.
 */
import type pg from 'pg'
import { PipelineError } from '../../core/error.ts'
import type { Finding } from '../../core/finding.ts'
import { examineSessions } from './doctor-sessions.ts'
import { examineSettings } from './doctor-settings.ts'
import { examineSlot } from './doctor-slot.ts'
import { examinePublication } from './doctor-publication.ts'
import { checkPublication, checkRole, checkServer, checkTables } from './preflight.ts'

export interface DoctorOptions {
  readonly publication: string
  readonly slot: string
  /** A transaction that has been open longer, and does nothing, is found. */
  readonly idleSeconds: number
  /** How long the WAL's rate is measured. */
  readonly sampleMs: number
}

/** In the order in which they are to be mended. SOURCE_UNREACHABLE. */
export async function examineSource(client: pg.Client, options: DoctorOptions): Promise<readonly Finding[]> {
  const { publication } = options
  const { rows } = await client.query<{ role: string }>('SELECT quote_ident(current_user) AS role')
  const role = rows[0]?.role ?? 'CURRENT_USER'
  const preflight = [
    await failing('server', () => checkServer(client)),
    await failing('role', () => checkRole(client)),
    await failing('publication', async () => {
      const missing = await checkPublication(client, publication)
      if (missing !== null) throw missing.error
    }),
    await failing('tables', () => checkTables(client, publication, role)),
  ].flat()
  return [
    ...onceEach(preflight),
    ...(await examinePublication(client, publication)),
    ...(await examineSlot(client, options)),
    ...(await examineSettings(client)),
    ...(await examineSessions(client, options.idleSeconds, role)),
  ]
}

/** A check of the preflight as a finding. */
async function failing(check: string, run: () => Promise<unknown>): Promise<readonly Finding[]> {
  try {
    await run()
    return []
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    return [{ check, severity: 'error', found: error.message, mend: asSql(error) }]
  }
}

/** Remedies that are no SQL become comments, so that all that is printed can be run. */
function asSql({ code, remedy }: PipelineError): string {
  return code === 'SOURCE_VERSION' || code === 'SOURCE_SCHEMA' ? `-- ${remedy}` : remedy
}

/** A publication that is not there is found by two checks. */
function onceEach(findings: readonly Finding[]): readonly Finding[] {
  const seen = new Set<string>()
  return findings.filter(({ check, found }) => {
    const missing = findings.some((other) => other.check === 'publication')
    if (check === 'tables' && missing) return false
    return !seen.has(found) && seen.add(found)
  })
}
