/** `incidents lineage REPORT` */
import { runtimeBeside } from './beside.ts'
import type { Config } from '../config.ts'
import { EXIT } from '../core/error.ts'
import { analyticsDirectory, dprZone, operationalUrl } from '../runtime.ts'
import { lineage, type Lineage, type RowLineage } from '../proof/lineage.ts'

export interface LineageCommandOptions {
  readonly json?: boolean
}

/** Exit 0; CONFIG when there is no such report, else the code of the place that does not answer. */
export async function lineageCommand(config: Config, report: string, options: LineageCommandOptions): Promise<number> {
  const runtime = await runtimeBeside(config)
  try {
    const found = await lineage(report, {
      operationalUrl: operationalUrl(config),
      raw: runtime.raw,
      dpr: dprZone(config),
      analyticsDirectory: analyticsDirectory(config),
    })
    process.stdout.write(options.json === true ? `${JSON.stringify(found)}\n` : `${told(found)}\n`)
  } finally {
    await runtime.transport.close()
  }
  return EXIT.done
}

function told({ reference, rows }: Lineage): string {
  return [`Incident ${reference}: ${rows.length} rows`, ...rows.map(rowText)].join('\n\n')
}

function rowText(row: RowLineage): string {
  const { dpr, analytics } = row
  return [
    `${row.entity} ${row.id}`,
    `  source       ${row.sourceTable} ${row.sourceKey}`,
    `  WAL          ${row.lsn}, ${row.transactionId === null ? 'read outside the stream' : `transaction ${row.transactionId}`}, committed ${row.committedAt}`,
    `  position     ${row.position}`,
    `  raw topic    ${row.topic} partition ${row.partition} offset ${row.offset}, ${row.schemaId === null ? 'forgotten since' : `schema ${row.schemaId}`}`,
    `  operational  ${row.operational.table} by rules ${row.rulesVersion}`,
    `  dpr-raw      ${dpr === null ? 'nowhere' : `${dpr.file} row ${dpr.row}${dpr.lsn === null ? '' : `, ${dpr.lsn}`}`}`,
    `  analytics    ${analytics === null ? 'not published' : `${analytics.file}${analytics.table === null ? '' : ` table ${analytics.table}`} row ${analytics.row}`}`,
  ].join('\n')
}
