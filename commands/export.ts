/** `incidents export`: the published analytics copy as a landing for Analytical Platform. */
import type { Config } from '../config.ts'
import { required } from '../config.ts'
import { EXIT } from '../core/error.ts'
import { analyticsDirectory } from '../runtime.ts'
import { projections } from '../schemas/policy/projection.ts'
import { exportPublished } from '../sinks/analytics-export.ts'

export interface ExportCommandOptions {
  readonly to: string
  readonly json?: boolean
}

/** Exit 0 when every table of the copy lies there; SINK when nothing is published. */
export async function exportCommand(config: Config, { to, json }: ExportCommandOptions): Promise<number> {
  const exported = await exportPublished({
    directory: analyticsDirectory(config),
    to,
    projections: projections('analytics', required(config, 'PSEUDONYM_KEY')),
  })
  const rows = Object.values(exported.tables).reduce((sum, each) => sum + each, 0)
  const count = Object.keys(exported.tables).length
  const sentence = `${count} tables with ${rows} rows landed in ${to} as of ${new Date(exported.landed * 1000).toISOString()}`
  process.stdout.write(`${json === true ? JSON.stringify(exported) : sentence}\n`)
  return EXIT.done
}
