/** `incidents replay`: the raw topic once more into a place of its own, or into one that then takes the live one's place. */
import { runtimeBeside } from './beside.ts'
import { openSink } from '../pipeline.ts'
import { operationalUrl, analyticsDirectory, dprDirectory, topicsOf } from '../runtime.ts'
import type { SinkName } from '../sinks/names.ts'
import type { Runtime } from '../runtime.ts'
import { required, type Config } from '../config.ts'
import { EXIT, PipelineError } from '../core/error.ts'
import { RULES_VERSION } from '../core/incident.ts'
import { isPosition, type Position } from '../core/position.ts'
import { replay, type Replayed } from '../proof/replay.ts'
import { rebuildUnified } from '../proof/replay-topic.ts'
import { finishSwap, swapDirectories } from '../proof/replay-directories.ts'
import { projections } from '../schemas/policy/projection.ts'
import { NEXT_SCHEMA } from '../sinks/operational-layout.ts'
import { prepareNextStore, swapStores } from '../sinks/operational-rebuild.ts'
import { operationalStore, type OperationalOptions } from '../sinks/operational.ts'
import { lockStateDirectory } from '../transport/state-directory.ts'
import { stepProgress } from './progress.ts'

export interface ReplayCommandOptions {
  readonly sink: SinkName | 'unified'
  /** What lies before this position is left out. */
  readonly from?: string
  /** Another database's URL, or a directory. */
  readonly into?: string
  readonly rebuild?: boolean
  readonly json?: boolean
}

interface Told extends Replayed {
  readonly sink: SinkName | 'unified'
  readonly into: string
  /** Where what was there before is now; null when nothing was swapped. */
  readonly previous: string | null
}

/** Exit 0 when the place holds what the topic holds; CONFIG for options that do not go together. */
export async function replayCommand(
  given: Config,
  options: ReplayCommandOptions,
  signal: AbortSignal,
): Promise<number> {
  const config = { ...given, METRICS_PORT: 0 }
  required(config, 'PSEUDONYM_KEY')
  const from = startPosition(options)
  const runtime = await runtimeBeside(config)
  try {
    const told =
      options.rebuild === true ? await rebuild(runtime, options, signal) : await fill(runtime, options, from, signal)
    process.stdout.write(options.json === true ? `${JSON.stringify(told)}\n` : `${sentence(told)}\n`)
  } finally {
    await runtime.transport.close()
  }
  return EXIT.done
}

function startPosition({ sink, from, rebuild: anew, into }: ReplayCommandOptions): Position | undefined {
  if (sink === 'unified') {
    if (anew === true && into !== undefined && from === undefined) return undefined
    throw usage('a governed topic is rebuilt whole, under another name', 'Give --rebuild and --into with the new name.')
  }
  if (anew === true && (from !== undefined || into !== undefined)) {
    throw usage('--rebuild fills a whole new place beside the live one', 'Leave --from and --into out.')
  }
  if (anew !== true && into === undefined) {
    throw usage('replay needs a place to write to', 'Give --into a database URL or a directory, or use --rebuild.')
  }
  if (from === undefined) return undefined
  if (isPosition(from)) return from
  throw usage(
    '--from is not a position',
    'A position looks like 0001/00000016b374d848/00000001; rows and lineage show theirs.',
  )
}

function usage(found: string, remedy: string): PipelineError {
  return new PipelineError('CONFIG', found, remedy)
}

/** Into a place that is nobody else's. */
async function fill(
  runtime: Runtime,
  { sink, into }: ReplayCommandOptions,
  from: Position | undefined,
  signal: AbortSignal,
): Promise<Told> {
  const name = sink as SinkName // a topic is never filled without a rebuild
  const config = configInto(runtime.config, name, into!)
  if (liveOf(config, name) === liveOf(runtime.config, name)) {
    throw usage('--into names the place that the live sink writes to', 'Name another one, or use --rebuild.')
  }
  const target = await openSink(config, name)
  try {
    const found = await replay({
      ...runtime,
      sink: target,
      signal,
      progress: bar(),
      ...(from === undefined ? {} : { from }),
    })
    return { sink: name, into: shown(liveOf(config, name)), previous: null, ...found }
  } finally {
    await target.close()
  }
}

function configInto(config: Config, name: SinkName, into: string): Config {
  switch (name) {
    case 'operational':
      return { ...config, OPERATIONAL_DATABASE_URL: into }
    case 'analytics':
      return { ...config, ANALYTICS_DIR: into }
    case 'dpr-raw':
      return { ...config, DPR_DIR: into, DPR_FLUSH_MS: 0 }
  }
}

function liveOf(config: Config, name: SinkName): string {
  switch (name) {
    case 'operational':
      return operationalUrl(config)
    case 'analytics':
      return analyticsDirectory(config)
    case 'dpr-raw':
      return dprDirectory(config)
  }
}

function rebuild(runtime: Runtime, options: ReplayCommandOptions, signal: AbortSignal): Promise<Told> {
  if (options.sink === 'unified') return rebuildTopic(runtime, options.into!, signal)
  return options.sink === 'operational'
    ? rebuildStore(runtime, signal)
    : rebuildDirectory(runtime, options.sink, signal)
}

/** `unify` must rest: it goes on behind what was filled, once UNIFIED_TOPIC names the new topic. */
async function rebuildTopic(runtime: Runtime, into: string, signal: AbortSignal): Promise<Told> {
  const { config } = runtime
  const lock = config.KAFKA_BROKERS === undefined ? await lockStateDirectory(config.STATE_DIR) : null
  try {
    const found = await rebuildUnified({
      ...runtime,
      settings: { ...topicsOf(config).unified, name: into },
      group: `${config.NAMESPACE}.unify`,
      pseudonymKey: config.PSEUDONYM_KEY!,
      progress: bar(),
      signal,
    })
    const previous = `topic ${topicsOf(config).unified.name}`
    return { sink: 'unified', into: `topic ${into}; set UNIFIED_TOPIC to it`, previous, ...found }
  } finally {
    lock?.release()
  }
}

/** The live sink may go on meanwhile: the swap waits for it, and it reads on from the new store. */
async function rebuildStore(runtime: Runtime, signal: AbortSignal): Promise<Told> {
  const { config } = runtime
  const url = operationalUrl(config)
  const store: OperationalOptions = {
    url,
    projections: projections('operational', config.PSEUDONYM_KEY!),
    rulesVersion: RULES_VERSION,
    schema: NEXT_SCHEMA,
  }
  await prepareNextStore(store)
  const counted = { records: 0, rows: 0 }
  while (true) {
    const sink = await operationalStore(store)
    try {
      const found = await replay({ ...runtime, sink, signal, progress: bar() })
      counted.records += found.records
      counted.rows += found.rows
    } finally {
      await sink.close()
    }
    if (!(await swapStores(url)).done) continue
    return {
      sink: 'operational',
      into: `${shown(url)}, schema prisons`,
      previous: 'schema prisons_previous',
      ...counted,
    }
  }
}

/** The live sink must rest: its directory goes from under it. */
async function rebuildDirectory(runtime: Runtime, name: 'analytics' | 'dpr-raw', signal: AbortSignal): Promise<Told> {
  const { config } = runtime
  const live = liveOf(config, name)
  if (live.startsWith('s3:')) {
    throw usage(
      'objects cannot be renamed, so a bucket is not swapped',
      'Replay with --into another prefix, set DPR_DIR to that prefix, and start the sink again.',
    )
  }
  const lock = await lockStateDirectory(config.STATE_DIR)
  try {
    await finishSwap(live)
    const next = `${live}.next`
    const sink = await openSink(configInto(config, name, next), name)
    let found: Replayed
    try {
      found = await replay({ ...runtime, sink, signal, progress: bar() })
    } finally {
      await sink.close()
    }
    await swapDirectories(live)
    // its views name absolute paths: published once more where it lies now
    if (name === 'analytics') await (await openSink(config, name)).close()
    return { sink: name, into: live, previous: `${live}.previous`, ...found }
  } finally {
    lock.release()
  }
}

function bar(): (done: number, total: number) => void {
  let told: ((done: number) => void) | null = null
  return (done, total) => {
    told ??= stepProgress('records', total)
    told(done)
  }
}

/** Never with the password. */
function shown(place: string): string {
  if (!/^postgres(ql)?:/.test(place)) return place
  const { host, pathname } = new URL(place)
  return `${host}${pathname}`
}

function sentence({ sink, into, previous, records, rows }: Told): string {
  const kept = previous === null ? '' : ` What was there before is in ${previous}; remove it when nobody needs it.`
  return `${sink}: ${records.toLocaleString('en')} records, ${rows.toLocaleString('en')} rows into ${into}.${kept}`
}
