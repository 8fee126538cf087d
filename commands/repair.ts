/** `incidents snapshot` and `incidents repair`: asking capture to read rows again. */
import { runtimeBeside } from './beside.ts'
import { readFileSync } from 'node:fs'
import { required, type Config } from '../config.ts'
import type { Progress } from '../connectors/postgres/request-store.ts'
import { ask, type Request } from '../connectors/postgres/requests.ts'
import { connect, disconnect } from '../connectors/postgres/session.ts'
import { EXIT, PipelineError } from '../core/error.ts'
import { SINKS } from '../sinks/names.ts'
import type { Runtime } from '../runtime.ts'
import { untilPassed } from '../proof/progress.ts'
import { fullName, planRepair, untilDone, type PlannedTable } from '../proof/repair.ts'
import { reconcileRuntime } from './reconcile.ts'
import { rowProgress } from './progress.ts'

export interface SnapshotCommandOptions {
  readonly workers?: number
  readonly rate?: number
  readonly json?: boolean
}

export interface RepairCommandOptions {
  readonly table?: readonly string[]
  readonly incident?: readonly string[]
  readonly keys?: string
  readonly all?: boolean
  readonly dryRun?: boolean
  readonly json?: boolean
}

/** Exit 0 when all was read or is queued, 4 when a table could not be read. */
export async function snapshotCommand(
  config: Config,
  tables: readonly string[],
  options: SnapshotCommandOptions,
  signal: AbortSignal,
): Promise<number> {
  const request: Request = {
    kind: 'tables',
    tables: tables.length === 0 ? null : tables.map(fullName),
    sweep: false,
    ...(options.workers === undefined ? {} : { workers: options.workers }),
    ...(options.rate === undefined ? {} : { rate: options.rate }),
  }
  const asked = await askFor(config, [request])
  const done = await waitFor(config, asked, signal)
  tell(options.json === true, { planned: asked.planned, ...outcomeOf(done) })
  return exitOf(done)
}

/**
 * Reads again what may differ, waits until every place has it, and compares. Exit 0 when nothing differs (or nothing runs
 * here to wait for: the request is then queued), 1 when something does, 4 when a table could not be read.
 */
export async function repairCommand(
  config: Config,
  options: RepairCommandOptions,
  signal: AbortSignal,
): Promise<number> {
  const requests = requestsOf(options)
  if (options.dryRun === true) {
    const client = await connect(required(config, 'DATABASE_URL'))
    const planned = await planRepair(client, config.NAMESPACE, requests).finally(() => disconnect(client))
    tell(options.json === true, { planned, state: 'planned', tables: [] })
    return EXIT.done
  }
  const asked = await askFor(config, requests)
  const done = await waitFor(config, asked, signal)
  const outcome = outcomeOf(done)
  if (outcome.state !== 'done') {
    tell(options.json === true, { planned: asked.planned, ...outcome })
    return exitOf(done)
  }
  const runtime = await runtimeBeside(config)
  try {
    await untilPlacesPassed(runtime, Math.max(...done.map((each) => each?.lsn ?? 0)), signal)
    const { differing, incomplete, lsn, places, unreadable } = await reconcileRuntime(runtime, {
      timeoutMs: 120_000,
      signal,
      progress: rowProgress(),
    })
    tell(options.json === true, { planned: asked.planned, ...outcome, differing, incomplete, lsn, places })
    return exitOf(done) === EXIT.done && differing + unreadable.length > 0 ? EXIT.difference : exitOf(done)
  } finally {
    await runtime.transport.close()
  }
}

/** Resolves when every reader of the raw topic has read what it held when the rows were durable. */
export async function untilPlacesPassed(runtime: Runtime, lsn: number, signal: AbortSignal): Promise<void> {
  const { config, transport, registry, raw } = runtime
  const groups = ['unify', ...SINKS].map((name) => `${config.NAMESPACE}.${name}`)
  await untilPassed(lsn, { transport, registry, raw, groups, signal })
}

function requestsOf({ table = [], incident = [], keys, all }: RepairCommandOptions): Request[] {
  if (all === true) return [{ kind: 'tables', tables: null, sweep: true }]
  if (keys !== undefined) {
    if (table.length !== 1)
      throw usage('--keys needs one --table', 'Name the table whose keys they are: --table T --keys FILE.')
    return [{ kind: 'rows', table: fullName(table[0]!), keys: keysOf(keys) }]
  }
  const requests: Request[] = []
  if (table.length > 0) requests.push({ kind: 'tables', tables: table.map(fullName), sweep: true })
  if (incident.length > 0) requests.push({ kind: 'incidents', references: [...incident] })
  if (requests.length > 0) return requests
  throw usage('nothing to repair is named', 'Give --table, --incident, --table with --keys, or --all.')
}

/** A key a line; the values of one that has several are separated by tabs. */
function keysOf(path: string): string[][] {
  let text: string
  try {
    text = readFileSync(path === '-' ? 0 : path, 'utf8')
  } catch (cause) {
    throw new PipelineError('CONFIG', `--keys names ${path}, which cannot be read`, 'Name a file with a key a line.', {
      cause,
    })
  }
  const lines = text.split('\n').filter((line) => line !== '')
  if (lines.length === 0) throw usage('--keys has no key', 'Give one key a line.')
  return lines.map((line) => line.split('\t'))
}

function usage(found: string, remedy: string): PipelineError {
  return new PipelineError('CONFIG', found, remedy)
}

interface Asked {
  readonly planned: readonly PlannedTable[]
  readonly ids: readonly string[]
}

async function askFor(config: Config, requests: readonly Request[]): Promise<Asked> {
  const client = await connect(required(config, 'DATABASE_URL'))
  try {
    const planned = await planRepair(client, config.NAMESPACE, requests)
    const ids: string[] = []
    for (const request of requests) ids.push((await ask(client, config.NAMESPACE, request)).id)
    return { planned, ids }
  } finally {
    await disconnect(client)
  }
}

/** How long a capture that runs may take to see a request. */
const SEEN_MS = 30_000

async function waitFor(config: Config, { ids }: Asked, signal: AbortSignal): Promise<(Progress | null)[]> {
  const progress = rowProgress()
  const done: (Progress | null)[] = []
  for (const id of ids) {
    done.push(
      await untilDone(id, {
        stateDirectory: config.STATE_DIR,
        signal,
        seenMs: SEEN_MS,
        progress: ({ parts }) => {
          for (const { table, rows, expected } of parts) progress(table, rows, expected)
        },
      }),
    )
  }
  return done
}

interface Outcome {
  readonly state: 'planned' | 'queued' | 'done'
  readonly tables: readonly {
    readonly table: string
    readonly outcome: string
    readonly rows: number
    readonly deleted: number
  }[]
}

function outcomeOf(done: readonly (Progress | null)[]): Outcome {
  if (done.some((each) => each === null)) return { state: 'queued', tables: [] }
  const parts = done.flatMap((each) => each?.parts ?? [])
  return {
    state: 'done',
    tables: parts.map(({ table, outcome, rows, deleted }) => ({ table, outcome, rows, deleted })),
  }
}

function exitOf(done: readonly (Progress | null)[]): number {
  const failed = done.some((each) => each?.parts.some(({ outcome }) => outcome !== 'done') === true)
  return failed ? EXIT.source : EXIT.done
}

type Told = Outcome & { readonly planned: readonly PlannedTable[]; readonly differing?: number; readonly lsn?: string }

function tell(json: boolean, told: Told & Record<string, unknown>): void {
  process.stdout.write(json ? `${JSON.stringify(told)}\n` : `${sentences(told)}\n`)
}

function sentences({ state, planned, tables, differing, lsn }: Told): string {
  if (state !== 'done') {
    const lines = planned.map(
      ({ table, rows, keys }) => `  ${table}  ${keys === null ? `about ${rows} rows` : `${rows} of ${keys} keys`}`,
    )
    const first =
      state === 'planned'
        ? 'Would be read again:'
        : 'Queued: no capture on this machine has seen it yet; it is read as soon as capture runs.'
    return [first, ...lines].join('\n')
  }
  const lines = tables.map(
    ({ table, outcome, rows, deleted }) =>
      `  ${table}  ${rows} rows read${deleted === 0 ? '' : `, ${deleted} deleted`}${outcome === 'done' ? '' : `: ${outcome}`}`,
  )
  const compared =
    differing === undefined ? [] : [differing === 0 ? `No row differs at LSN ${lsn}.` : `${differing} rows differ.`]
  return ['Read again:', ...lines, ...compared].join('\n')
}
