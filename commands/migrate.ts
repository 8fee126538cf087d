/** `incidents migrate` and `incidents nomis status`: from NOMIS to the incident database, and whether NOMIS may go. */
import { londonDate } from '../api/clock.ts'
import { nomisStatus } from '../api/nomis-status.ts'
import { openSource } from '../api/source.ts'
import { required, type Config } from '../config.ts'
import { nomisClient } from '../connectors/nomis/client.ts'
import { compareNomis, type Comparison } from '../connectors/nomis/comparison.ts'
import { follow } from '../connectors/nomis/follow.ts'
import { httpTarget } from '../connectors/nomis/http-target.ts'
import { migrate, migrateOnly, type MigrationProgress } from '../connectors/nomis/migrator.ts'
import type { IncidentTarget } from '../connectors/nomis/target.ts'
import { migrationSchemaLacks } from '../connectors/postgres/source-schema.ts'
import { EXIT, PipelineError } from '../core/error.ts'
import { embeddedTarget } from './incident-target.ts'

export interface MigrateOptions {
  readonly concurrency?: number
  readonly rate?: number
  readonly json?: boolean
  /** One incident again, alone. */
  readonly only?: number
  /** The drip-feed afterwards, until the cut-off. */
  readonly follow?: boolean
  /** NOMIS against the incident database afterwards. */
  readonly compare?: boolean
}

/** Exit 1 when incidents could not be brought over or differ; then `migrate --only` repeats each. */
export async function migrateCommand(config: Config, options: MigrateOptions, signal: AbortSignal): Promise<number> {
  const nomis = nomisClient({ url: required(config, 'NOMIS_API_URL'), token: config.NOMIS_API_TOKEN })
  const { concurrency, rate } = options
  const { target, close } = await targetOf(config, concurrency)
  try {
    if (options.only !== undefined) {
      const outcome = await migrateOnly({ nomis, target }, options.only)
      tell(options, outcome, outcome.done ? 'Brought over.' : `Not brought over: ${outcome.reason}.`)
      return outcome.done ? EXIT.done : EXIT.difference
    }
    const result = await migrate({ nomis, target, concurrency, rate, signal, progress: showProgress })
    process.stderr.write('\n')
    const comparison = options.compare === true && result.complete ? await compare(config, options, signal) : null
    const differing = comparison?.differences.length ?? 0
    const failures = result.failed === 0 ? [] : await target.failures()
    tell(
      options,
      { ...result, failures, ...(comparison === null ? {} : { compared: comparison.compared, differing }) },
      [
        `${result.migrated} of ${result.total} incidents are here, ${result.failed} could not be brought over.`,
        ...failures.map(({ nomisIncidentId, code, reason }) => `  ${nomisIncidentId}: ${code} ${reason}`),
        ...(comparison === null ? [] : [`${comparison.compared} compared with NOMIS, ${differing} differ.`]),
      ].join('\n'),
    )
    if (options.follow === true && result.complete) {
      const over = await follow({ nomis, target, concurrency, signal, progress: showFollowing })
      process.stderr.write(over ? '\nThe cut-off is reached: NOMIS changes nothing here any more.\n' : '\n')
    }
    return result.failed === 0 && differing === 0 && result.complete ? EXIT.done : EXIT.difference
  } finally {
    await close()
  }
}

/** The API where one is named, else its use cases in this process. */
async function targetOf(
  config: Config,
  concurrency = 8,
): Promise<{ target: IncidentTarget; close: () => Promise<void> }> {
  if (config.API_URL !== undefined) {
    const target = httpTarget({ url: config.API_URL, token: required(config, 'API_TOKEN') })
    return { target, close: () => Promise.resolve() }
  }
  await mustHaveMigrationSchema(required(config, 'DATABASE_URL'))
  const source = openSource(required(config, 'DATABASE_URL'), concurrency + 1)
  return { target: embeddedTarget(source), close: () => source.end() }
}

async function compare(config: Config, { concurrency }: MigrateOptions, signal: AbortSignal): Promise<Comparison> {
  const source = openSource(required(config, 'DATABASE_URL'), 2)
  const nomis = nomisClient({ url: required(config, 'NOMIS_API_URL'), token: config.NOMIS_API_TOKEN })
  try {
    return await compareNomis({ nomis, source, concurrency, signal })
  } finally {
    await source.end()
  }
}

/** Exit 1 while NOMIS's tables may not go. */
export async function nomisStatusCommand(config: Config, options: { readonly json?: boolean }): Promise<number> {
  await mustHaveMigrationSchema(required(config, 'DATABASE_URL'))
  const source = openSource(required(config, 'DATABASE_URL'), 1)
  try {
    const status = await nomisStatus(
      async (text, values) => (await source.query(text, [...(values ?? [])])).rows,
      londonDate(new Date()),
    )
    const parts = (['screens', 'endpoints', 'tables'] as const).map((part) => {
      const { may, reasons } = status[part]
      return [`NOMIS's incident ${part} ${may ? 'may go.' : 'may not go:'}`, ...reasons.map((reason) => `  ${reason}`)]
    })
    tell(
      options,
      status,
      [`${status.migrated} incidents are here, ${status.openInNomis} open in NOMIS.`, ...parts.flat()].join('\n'),
    )
    return status.tables.may ? EXIT.done : EXIT.difference
  } finally {
    await source.end()
  }
}

async function mustHaveMigrationSchema(url: string): Promise<void> {
  const missing = await migrationSchemaLacks(url)
  if (missing.length === 0) return
  throw new PipelineError(
    'SOURCE_SCHEMA',
    missing.join(' '),
    'Let the owner of the database run: psql "$DATABASE_URL" -f schemas/source/migration.sql',
  )
}

function showProgress({ total, migrated, failed, perSecond, secondsLeft }: MigrationProgress): void {
  const left = secondsLeft === null ? 'unknown' : `${Math.ceil(secondsLeft)} s`
  process.stderr.write(
    `\r${migrated} of ${total} incidents, ${failed} failed, ${Math.round(perSecond)}/s, ${left} left  `,
  )
}

function showFollowing(changed: number, refused: number): void {
  process.stderr.write(`\r${changed} changes of NOMIS brought over, ${refused} refused  `)
}

function tell({ json }: { readonly json?: boolean }, data: object, text: string): void {
  process.stdout.write(`${json === true ? JSON.stringify(data) : text}\n`)
}
