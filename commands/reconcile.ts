/** `incidents reconcile` */
import { runtimeBeside } from './beside.ts'
import { readFileSync } from 'node:fs'
import { required, type Config } from '../config.ts'
import { EXIT, PipelineError } from '../core/error.ts'
import { isPosition } from '../core/position.ts'
import { analyticsDirectory, dprZone, operationalUrl, topicsOf, type Runtime } from '../runtime.ts'
import type { Since } from '../proof/proven-place.ts'
import { reconcile, PLACES, type PlaceName, type PlaceResult, type Reconciliation } from '../proof/reconcile.ts'
import { verifyReport, writeReport } from '../proof/report.ts'
import { openZone } from '../sinks/dpr-raw-zone.ts'
import { rowProgress } from './progress.ts'

export interface ReconcileCommandOptions {
  readonly place?: readonly string[]
  readonly since?: string
  readonly timeout?: number
  readonly report?: string
  readonly verify?: string
  readonly json?: boolean
}

/** Exit 0 when no row differs, 1 when one does or a report's signature does not fit. */
export async function reconcileCommand(
  config: Config,
  options: ReconcileCommandOptions,
  signal: AbortSignal,
): Promise<number> {
  if (options.verify !== undefined) return verify(config, options.verify, options.json === true)
  const places = placesOf(options.place ?? [])
  const since = options.since === undefined ? undefined : sinceOf(options.since)
  const runtime = await runtimeBeside(config)
  try {
    const found = await reconcileRuntime(runtime, {
      timeoutMs: (options.timeout ?? 120) * 1000,
      signal,
      progress: rowProgress(),
      ...(places.length === 0 ? {} : { places }),
      ...(since === undefined ? {} : { since }),
    })
    if (options.report !== undefined) {
      const files = await writeReport(options.report, found, { namespace: config.NAMESPACE, key: signingKey(config) })
      for (const file of files) process.stderr.write(`${file}\n`)
    }
    process.stdout.write(options.json === true ? `${JSON.stringify(found)}\n` : `${told(found, config)}\n`)
    return found.differing === 0 && found.unreadable.length === 0 ? EXIT.done : EXIT.difference
  } finally {
    await runtime.transport.close()
  }
}

export interface RuntimeReconcileOptions {
  readonly places?: readonly PlaceName[]
  readonly since?: Since
  readonly timeoutMs: number
  readonly signal: AbortSignal
  readonly progress?: (what: string, rows: number, expected: number) => void
}

/** {@link reconcile} of an open runtime. */
export async function reconcileRuntime(runtime: Runtime, options: RuntimeReconcileOptions): Promise<Reconciliation> {
  const { config, transport, registry, raw } = runtime
  const dpr = openZone(dprZone(config))
  return reconcile({
    ...options,
    databaseUrl: required(config, 'DATABASE_URL'),
    publication: config.NAMESPACE,
    namespace: config.NAMESPACE,
    pseudonymKey: required(config, 'PSEUDONYM_KEY'),
    transport,
    registry,
    raw,
    unified: await transport.topic(topicsOf(config).unified),
    dpr,
    operationalUrl: operationalUrl(config),
    analyticsDirectory: analyticsDirectory(config),
  }).finally(() => dpr.close())
}

function placesOf(names: readonly string[]): PlaceName[] {
  return names.map((name) => {
    const found = PLACES.find((place) => place === name)
    if (found !== undefined) return found
    throw new PipelineError('CONFIG', `--place is ${name}`, `Name some of ${PLACES.join(', ')}.`)
  })
}

function sinceOf(text: string): Since {
  if (isPosition(text)) return { position: text }
  const millis = Date.parse(text)
  if (!Number.isNaN(millis)) return { micros: millis * 1000 }
  throw new PipelineError(
    'CONFIG',
    '--since is neither a position nor a time',
    'Give a position as the topics have it, or a time like 2026-05-01T12:00:00Z.',
  )
}

/** The key's PEM; null when none is configured. */
function signingKey({ REPORT_SIGNING_KEY: path }: Config): string | null {
  if (path === undefined) return null
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new PipelineError(
      'CONFIG',
      `REPORT_SIGNING_KEY names ${path}, which cannot be read`,
      'Name a file with an Ed25519 key as PEM, or unset it for unsigned reports.',
      { cause },
    )
  }
}

async function verify(config: Config, path: string, json: boolean): Promise<number> {
  const found = await verifyReport(path, signingKey(config))
  const said = {
    signed: `The report is as it was signed by the key ${found.keyFingerprint}.`,
    unsigned: 'NOT SIGNED: nobody vouches for this report.',
    altered: 'ALTERED: the report is not what was signed.',
    'other-key': `Signed, but by another key than REPORT_SIGNING_KEY: ${found.keyFingerprint}.`,
  }[found.reason]
  process.stdout.write(json ? `${JSON.stringify(found)}\n` : `${said}\n`)
  return found.valid ? EXIT.done : EXIT.difference
}

function told(found: Reconciliation, config: Config): string {
  const width = Math.max(...found.places.map(({ place }) => place.length))
  const wide = Math.max(...found.places.map(({ entity }) => entity.length))
  const lines = found.places.flatMap(({ place, entity, rows, differing, unsettled, keys }) => [
    `${place.padEnd(width)}  ${entity.padEnd(wide)}  ${rows.toLocaleString('en').padStart(11)} rows  ${String(differing).padStart(6)} differ` +
      (unsettled === 0 ? '' : `, ${unsettled} unsettled`),
    ...keys.map(({ key, why, columns, source, place: at }) => {
      const which = columns.length === 0 ? '' : ` in ${columns.join(', ')}`
      return `  ${key} is ${why}${which}; source ${source?.position ?? 'unknown'}, place ${at ?? 'none'}`
    }),
  ])
  const total =
    found.differing === 0
      ? `No row differs at LSN ${found.lsn}: ${found.rows.toLocaleString('en')} source rows in ${found.seconds} s.`
      : `${found.differing} rows differ at LSN ${found.lsn}.`
  const incomplete = found.incomplete === 0 ? [] : [`${found.incomplete} source rows could not be mapped.`]
  const unreadable = found.unreadable.map((record) => `Unreadable record: ${record}`)
  const lacks = ({ place, keys }: PlaceResult): boolean =>
    place.startsWith('dpr-raw') && keys.some(({ why }) => why === 'missing')
  const archived =
    config.DPR_ARCHIVE_DIR === undefined && found.places.some(lacks)
      ? ['Where jobs have archived files of DPR_DIR, name their archive in DPR_ARCHIVE_DIR: it was not looked at.']
      : []
  return [...lines, ...unreadable, ...incomplete, ...archived, total].join('\n')
}
