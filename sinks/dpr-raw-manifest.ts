/**
 * The manifest: what makes files exactly-once. It lies beside the raw zone, where DPR's jobs do not look.
 *
 *   manifest/staging/<sequence>/…     a flush's files, written and synced before anything says that they exist
 *   manifest/entries/<sequence>.json  create-only: the files, the offsets that they cover, and the sink's whole state
 *   manifest/journal/<sequence>-…     keys and positions of what was published lately
 *
 * Once its entry exists a flush has happened. Its files are then linked to their places, never over another, and its
 * staging folder goes: an entry whose folder is still there is completed at the next start, and a file that is missing
 * in it was published. To open the manifest is to write an entry, so the number that a second, older writer would use
 * next is taken, and that writer fails before it publishes anything.
 */
import { link, mkdir, open, readFile, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PipelineError } from '../core/error.ts'
import { BEGINNING, type Position } from '../core/position.ts'
import { writeNew } from './dpr-raw-contracts.ts'

export interface PartitionState {
  readonly next: number
  readonly height: Position
  /** The highest position known to be behind the reader: the height, or that of a marker. */
  readonly passed: Position
  /** The first snapshot's rows are all behind: rows read outside the stream are repairs from here on. */
  readonly loaded: boolean
}

/** Counted as DMS counts them. */
export interface TableCounts {
  readonly fullLoadRows: number
  readonly inserts: number
  readonly updates: number
  readonly deletes: number
}

export interface TableState extends TableCounts {
  /** How many load files there are. */
  readonly loads: number
  /** The time in the newest `checkpoint_col`: hundredths of a second. */
  readonly clock: number
  /** The highest position that was published. */
  readonly newest: Position
}

export interface SinkState {
  /** The time in the newest change file's name: milliseconds. */
  readonly stamp: number
  /** The newest position among the journals that are gone. */
  readonly horizon: Position
  readonly partitions: Readonly<Record<string, PartitionState>>
  /** By `source/table`. */
  readonly tables: Readonly<Record<string, TableState>>
}

export interface StagedFile {
  /** In the staging folder. */
  readonly name: string
  /** Below the directory. */
  readonly path: string
  readonly rows: number
}

export interface Entry {
  readonly version: 1
  readonly writtenAt: string
  readonly files: readonly StagedFile[]
  /** By partition: the first offset and the one after the last. */
  readonly offsets: Readonly<Record<string, readonly [number, number]>>
  readonly state: SinkState
}

export interface Manifest {
  /** The state of the newest entry. */
  readonly state: SinkState
  /** Where the next entry's files are staged; made on first use. */
  staging(): Promise<string>
  /** Publishes what is staged. When it resolves the files, and that they are published, would survive a crash. */
  commit(entry: Flush): Promise<void>
  /** The journals from the position on, oldest first. */
  journals(from: Position): readonly Journal[]
  /** The name that the next entry's journal has below the directory. */
  journalPath(newest: Position): string
}

/** An entry before it is written. */
export type Flush = Pick<Entry, 'files' | 'offsets' | 'state'> & {
  /** Journals that the new state does without; their newest position is its horizon. */
  readonly dropped: readonly Journal[]
}

export interface Journal {
  readonly sequence: number
  readonly newest: Position
  readonly path: string
}

/** A place in a flush where a test may make it fail. */
export type Step = 'staged' | 'entered' | 'linked' | 'published'

type OnStep = (step: Step) => void

/** Older entries are evidence only, and this many are enough of it: a day of ten-second flushes. */
const KEPT_ENTRIES = 10_000

const EMPTY: SinkState = { stamp: 0, horizon: BEGINNING, partitions: {}, tables: {} }

/**
 * Opens the manifest for writing: completes what the last writer left open and shuts that writer out.
 * SINK_FOREIGN when the raw zone holds files that no manifest knows, or another writer keeps winning.
 */
export async function openManifest(directory: string, onStep?: OnStep): Promise<Manifest> {
  for (const folder of ['raw', 'manifest/entries', 'manifest/staging', 'manifest/journal']) {
    await mkdir(join(directory, folder), { recursive: true })
  }
  for (let attempt = 0; attempt < 5; attempt++) {
    const last = await lastSequence(directory)
    if (last === 0) await refuseForeign(directory)
    const state = last === 0 ? EMPTY : await complete(directory, last)
    if (!(await writeEntry(directory, last + 1, { files: [], offsets: {}, state }))) continue
    await rm(join(directory, 'manifest/staging'), { recursive: true, force: true })
    await mkdir(join(directory, 'manifest/staging'))
    return manifest({ directory, sequence: last + 1, state, journals: await listJournals(directory), onStep })
  }
  throw anotherWriter(directory)
}

interface Opened {
  readonly directory: string
  readonly sequence: number
  readonly state: SinkState
  readonly journals: readonly Journal[]
  readonly onStep: OnStep | undefined
}

function manifest(opened: Opened): Manifest {
  const { directory, onStep } = opened
  let { sequence, state, journals } = opened

  async function commit({ files, offsets, state: after, dropped }: Flush): Promise<void> {
    const next = sequence + 1
    if (files.length > 0) {
      const folder = stagingFolder(directory, next)
      await Promise.all(files.map((file) => sync(join(folder, file.name))))
      await sync(folder)
      await sync(dirname(folder))
    }
    onStep?.('staged')
    if (!(await writeEntry(directory, next, { files, offsets, state: after }))) throw anotherWriter(directory)
    onStep?.('entered')
    await publish(directory, next, files, onStep)
    sequence = next
    state = after
    const added = files.map((file) => journalOf(file.path)).filter((each) => each !== null)
    journals = [...journals.filter((each) => !dropped.includes(each)), ...added]
    const outdated = dropped.map((each) => join(directory, each.path))
    for (const file of [...outdated, entryFile(directory, next - KEPT_ENTRIES)]) await rm(file, { force: true })
  }

  return {
    get state() {
      return state
    },
    staging: async () => {
      const folder = stagingFolder(directory, sequence + 1)
      await mkdir(folder, { recursive: true })
      return folder
    },
    commit,
    journals: (from) => journals.filter((each) => each.newest >= from),
    journalPath: (newest) => `manifest/journal/${digits(sequence + 1)}-${newest.replaceAll('/', '-')}.parquet`,
  }
}

async function lastSequence(directory: string): Promise<number> {
  const names = await readdir(join(directory, 'manifest/entries'))
  return names
    .filter((name) => /^\d+\.json$/.test(name))
    .reduce((last, name) => Math.max(last, Number.parseInt(name, 10)), 0)
}

async function complete(directory: string, sequence: number): Promise<SinkState> {
  const entry = JSON.parse(await readFile(entryFile(directory, sequence), 'utf8')) as Entry
  if (entry.version !== 1) {
    throw new PipelineError(
      'STATE_VERSION',
      `The manifest in ${directory} was written by a newer version of the pipeline`,
      'Run the version that wrote it, or a newer one.',
    )
  }
  await publish(directory, sequence, entry.files)
  return entry.state
}

async function writeEntry(
  directory: string,
  sequence: number,
  entry: Omit<Entry, 'version' | 'writtenAt'>,
): Promise<boolean> {
  const whole: Entry = { version: 1, writtenAt: new Date().toISOString(), ...entry }
  const written = await writeNew(entryFile(directory, sequence), JSON.stringify(whole))
  if (written) await sync(join(directory, 'manifest/entries'))
  return written
}

async function publish(
  directory: string,
  sequence: number,
  files: readonly StagedFile[],
  onStep?: OnStep,
): Promise<void> {
  if (files.length === 0) return
  const staging = stagingFolder(directory, sequence)
  const folders = new Set<string>()
  for (const { name, path } of files) {
    const target = join(directory, path)
    await mkdir(dirname(target), { recursive: true })
    if (await linkNew(join(staging, name), target)) folders.add(dirname(target))
    onStep?.('linked')
  }
  await Promise.all([...folders].flatMap((folder) => [sync(folder), sync(dirname(folder))]))
  onStep?.('published')
  await rm(staging, { recursive: true, force: true })
}

/** False when the file is published already: a staged file only goes when it is. */
async function linkNew(staged: string, target: string): Promise<boolean> {
  try {
    await link(staged, target)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return false
    if (code !== 'EEXIST') throw error
    if ((await stat(staged)).ino === (await stat(target)).ino) return true
    throw new PipelineError(
      'SINK_FOREIGN',
      `${target} exists and was not written by this pipeline's flush`,
      'Find out what else writes to the raw zone and stop it; move its file away, then start again.',
    )
  }
}

async function refuseForeign(directory: string): Promise<void> {
  const names = await readdir(join(directory, 'raw'), { recursive: true })
  const foreign = names.find((name) => name.endsWith('.parquet'))
  if (foreign === undefined) return
  throw new PipelineError(
    'SINK_FOREIGN',
    `${join(directory, 'raw')} holds files that no manifest knows, ${foreign} among them`,
    'Choose an empty directory, or bring back the folder manifest/ that belongs to these files.',
  )
}

function anotherWriter(directory: string): PipelineError {
  return new PipelineError(
    'SINK_FOREIGN',
    `Another process writes DPR's raw zone in ${directory}; one writer keeps the files of a table in order`,
    'Stop one of the two. What this process had not published yet is read again by the other.',
  )
}

async function listJournals(directory: string): Promise<Journal[]> {
  const names = await readdir(join(directory, 'manifest/journal'))
  return names
    .sort()
    .map((name) => journalOf(`manifest/journal/${name}`))
    .filter((each) => each !== null)
}

function journalOf(path: string): Journal | null {
  const parts = /^manifest\/journal\/(\d+)-([0-9a-f]{4})-([0-9a-f]{16})-([0-9a-f]{8})\.parquet$/.exec(path)
  if (parts === null) return null
  return { sequence: Number(parts[1]), newest: `${parts[2]}/${parts[3]}/${parts[4]}` as Position, path }
}

function entryFile(directory: string, sequence: number): string {
  return join(directory, 'manifest/entries', `${digits(sequence)}.json`)
}

function stagingFolder(directory: string, sequence: number): string {
  return join(directory, 'manifest/staging', digits(sequence))
}

function digits(sequence: number): string {
  return String(sequence).padStart(10, '0')
}

/** What was written to the file, or which names the folder has, survives a crash from here on. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
