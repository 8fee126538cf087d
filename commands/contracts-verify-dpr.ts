/** `incidents contracts verify-dpr` */
import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { EXIT } from '../core/error.ts'
import { scratchFolder } from '../core/scratch-folder.ts'
import { breaksContract, verifyDpr, type TableVerdict } from '../proof/dpr-verify.ts'
import { mirrorZone } from '../sinks/dpr-raw-mirror.ts'
import { dprError } from '../sinks/dpr-raw-error.ts'

export interface VerifyDprOptions {
  readonly json?: boolean
}

/**
 * Says of every table what DPR's jobs would make of its files. Exit 0 when they would take every row as it was meant,
 * 6 when files and contracts do not fit, else 1.
 */
export async function contractsVerifyDpr(location: string, options: VerifyDprOptions): Promise<number> {
  const tables = await verdictsOf(location)
  const findings = tables.reduce((sum, table) => sum + table.findings.length, 0)
  if (options.json === true) process.stdout.write(`${JSON.stringify({ findings, tables })}\n`)
  else process.stdout.write(`${tables.map(told).join('\n')}\n`)
  if (tables.some(breaksContract)) return EXIT.contract
  return findings > 0 ? EXIT.difference : EXIT.done
}

async function verdictsOf(location: string): Promise<readonly TableVerdict[]> {
  if (!location.startsWith('s3://')) return verifyDpr(resolve(location))
  const directory = scratchFolder('verify')
  try {
    await mirrorZone(location, ['raw', 'contracts'], directory).catch((error: unknown) => {
      throw dprError(error, location)
    })
    return await verifyDpr(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function told(verdict: TableVerdict): string {
  const { table, files, accepted, rejected, superseded, curated, findings } = verdict
  const head = `${table}  ${files} files, ${accepted} rows taken, ${rejected} rejected, ${superseded} replaced by newer ones, ${curated} current`
  const lines = findings.map(
    ({ outcome, file, rows, says }) =>
      `  ${outcome}  ${file ?? 'contract'}${rows === null ? '' : ` (${rows} rows)`}: ${says}`,
  )
  return [head, ...lines].join('\n')
}
