/**
 * The manifest: what makes files exactly-once. It lies beside the raw zone, where DPR's jobs do not look.
 *
 *   manifest/staging/<sequence>/…     a flush's files, durable before anything says that they exist
 *   manifest/entries/<sequence>.json  create-only: the files, the offsets that they cover, and the sink's whole state
 *   manifest/journal/<sequence>-…     keys and positions of what was published lately
 *
 * Once its entry exists a flush has happened. Its files are then put in their places, never over another, and its
 * staging folder goes: an entry whose folder is still there is completed at the next start, and a file that is missing
 * in it was published. To open the manifest is to write an entry, so the number that a second, older writer would use
 * next is taken, and that writer fails before it publishes anything.
 */
import { randomUUID } from 'node:crypto'
import { PipelineError } from '../core/error.ts'
import type { Position } from '../core/position.ts'
import { digits, journalOf, journalPath, type Journal } from './dpr-raw-journal.ts'
import { NOTHING_WRITTEN, type Entry, type SinkState, type StagedFile } from './dpr-raw-state.ts'
import type { Storage } from './dpr-raw-storage.ts'

export interface Manifest {
  /** The state of the newest entry. */
  readonly state: SinkState
  /** Where the next entry's files are staged. */
  staged(name: string): string
  /** Publishes what is staged. When it resolves the files, and that they are published, would survive a crash. */
  commit(entry: Flush): Promise<void>
  /** The journals from the position on, oldest first. */
  journals(from: Position): readonly Journal[]
  /** The path that the next entry's journal has. */
  journalPath(newest: Position): string
}

/** An entry before it is written. */
export type Flush = Pick<Entry, 'files' | 'offsets' | 'state'> & {
  /** Journals that the new state does without; their newest position is its horizon. */
  readonly dropped: readonly Journal[]
}

/** A place in a flush where a test may make it fail. */
export type Step = 'staged' | 'entered' | 'linked' | 'published'

type OnStep = (step: Step) => void

/** Older entries are evidence only, and this many are enough of it: a day of ten-second flushes. */
const KEPT_ENTRIES = 10_000

/**
 * Opens the manifest for writing: completes what the last writer left open and shuts that writer out. SINK_FOREIGN when
 * the raw zone holds files that no manifest knows, or another writer keeps winning; STATE_VERSION when the manifest is
 * of another version.
 */
export async function openManifest(storage: Storage, onStep?: OnStep): Promise<Manifest> {
  const writer = randomUUID()
  for (let attempt = 0; attempt < 5; attempt++) {
    const last = await lastSequence(storage)
    if (last === 0) await refuseForeign(storage)
    const state = last === 0 ? NOTHING_WRITTEN : await complete(storage, last)
    if (!(await writeEntry(storage, last + 1, { writer, files: [], offsets: {}, state }))) continue
    await storage.removeFolder('manifest/staging')
    const journals = await listJournals(storage)
    return manifest({ storage, writer, sequence: last + 1, state, journals, onStep })
  }
  throw anotherWriter(storage)
}

interface Opened {
  readonly storage: Storage
  readonly writer: string
  readonly sequence: number
  readonly state: SinkState
  readonly journals: readonly Journal[]
  readonly onStep: OnStep | undefined
}

function manifest(opened: Opened): Manifest {
  const { storage, writer, onStep } = opened
  let { sequence, state, journals } = opened

  async function commit({ files, offsets, state: after, dropped }: Flush): Promise<void> {
    const next = sequence + 1
    if (files.length > 0) await storage.stage(files.map((file) => stagedPath(next, file.name)))
    onStep?.('staged')
    if (!(await writeEntry(storage, next, { writer, files, offsets, state: after }))) throw anotherWriter(storage)
    onStep?.('entered')
    await publish(storage, next, files, onStep)
    sequence = next
    state = after
    const added = files.map((file) => journalOf(file.path)).filter((each) => each !== null)
    journals = [...journals.filter((each) => !dropped.includes(each)), ...added]
    const outdated = dropped.map((each) => each.path)
    await storage.remove(next > KEPT_ENTRIES ? [...outdated, entryPath(next - KEPT_ENTRIES)] : outdated)
  }

  return {
    get state() {
      return state
    },
    staged: (name) => stagedPath(sequence + 1, name),
    commit,
    journals: (from) => journals.filter((each) => each.newest >= from),
    journalPath: (newest) => journalPath(sequence + 1, newest),
  }
}

async function lastSequence(storage: Storage): Promise<number> {
  const names = await storage.list('manifest/entries')
  return names
    .filter((name) => /^\d+\.json$/.test(name))
    .reduce((last, name) => Math.max(last, Number.parseInt(name, 10)), 0)
}

async function complete(storage: Storage, sequence: number): Promise<SinkState> {
  const entry = JSON.parse((await storage.readText(entryPath(sequence)))!) as Omit<Entry, 'version'> & {
    version: number
  }
  if (entry.version !== 1) {
    throw new PipelineError(
      'STATE_VERSION',
      `The manifest in ${storage.location} was written by a newer version of the pipeline`,
      'Run the version that wrote it, or a newer one.',
    )
  }
  await publish(storage, sequence, entry.files)
  return entry.state
}

function writeEntry(storage: Storage, sequence: number, entry: Omit<Entry, 'version' | 'writtenAt'>): Promise<boolean> {
  const whole: Entry = { version: 1, writtenAt: new Date().toISOString(), ...entry }
  return storage.createText(entryPath(sequence), JSON.stringify(whole))
}

async function publish(
  storage: Storage,
  sequence: number,
  files: readonly StagedFile[],
  onStep?: OnStep,
): Promise<void> {
  if (files.length === 0) return
  const publications = files.map(({ name, path }) => ({
    staged: stagedPath(sequence, name),
    target: path,
    readAgain: journalOf(path) !== null || name.includes('.LOAD'),
  }))
  await storage.publish(publications, () => onStep?.('linked'))
  onStep?.('published')
  await storage.removeFolder(`manifest/staging/${digits(sequence)}`)
}

async function refuseForeign(storage: Storage): Promise<void> {
  const foreign = (await storage.list('raw')).find((name) => name.endsWith('.parquet'))
  if (foreign === undefined) return
  throw new PipelineError(
    'SINK_FOREIGN',
    `${storage.location}/raw holds files that no manifest knows, ${foreign} among them`,
    'Choose an empty directory, or bring back the folder manifest/ that belongs to these files.',
  )
}

function anotherWriter({ location }: Storage): PipelineError {
  return new PipelineError(
    'SINK_FOREIGN',
    `Another process writes DPR's raw zone in ${location}; one writer keeps the files of a table in order`,
    'Stop one of the two. What this process had not published yet is read again by the other.',
  )
}

async function listJournals(storage: Storage): Promise<Journal[]> {
  const names = await storage.list('manifest/journal')
  return names.map((name) => journalOf(`manifest/journal/${name}`)).filter((each) => each !== null)
}

function entryPath(sequence: number): string {
  return `manifest/entries/${digits(sequence)}.json`
}

function stagedPath(sequence: number, name: string): string {
  return `manifest/staging/${digits(sequence)}/${name}`
}
