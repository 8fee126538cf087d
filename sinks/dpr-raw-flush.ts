/** A flush: staged rows become parquet files, and one entry of the manifest publishes them with the sink's place. */
import { BEGINNING, type Position } from '../core/position.ts'
import type { Clock } from './dpr-raw-clock.ts'
import type { Journal } from './dpr-raw-journal.ts'
import type { Manifest } from './dpr-raw-manifest.ts'
import { changeFileName, loadFileName } from './dpr-raw-names.ts'
import type { Progress } from './dpr-raw-progress.ts'
import type { Staged } from './dpr-raw-settle.ts'
import type { StagedCounts, Staging } from './dpr-raw-staging.ts'
import { NEW_TABLE, type StagedFile, type TableState } from './dpr-raw-state.ts'
import type { Storage } from './dpr-raw-storage.ts'
import { folderName } from './dpr-raw-table.ts'

export interface FlushOptions {
  readonly storage: Storage
  readonly manifest: Manifest
  readonly staging: Staging
  readonly progress: Progress
  /** By `source/table`. */
  readonly clocks: ReadonlyMap<string, Clock>
  /** The size that a file should not exceed, counted as in the topic. */
  readonly maxFileBytes: number
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number
}

/** So long is known which state of a row was published: an hour of ten-second flushes. */
const KEPT_JOURNALS = 360

export async function flush(options: FlushOptions): Promise<void> {
  const { manifest, staging, progress } = options
  const started = Math.max(manifest.state.stamp + 1, options.now())
  const tables: Record<string, TableState> = { ...manifest.state.tables }
  const files: StagedFile[] = []
  let lastStamp = manifest.state.stamp
  /** The next name of each folder: one that changes its shape within the flush has files of both. */
  const stamps = new Map<string, number>()
  await staging.seal()
  for (const staged of staging.tables()) {
    const name = folderName(staged.table)
    const stamp = stamps.get(name) ?? started
    const before = tables[name] ?? NEW_TABLE
    const counts = await settle(options, staged)
    const loads = await writeFiles(options, staged, 'loads', counts.loads, (part) =>
      loadFileName(before.loads + 1 + part),
    )
    const changed = changesOf(counts)
    const changes = await writeFiles(options, staged, 'changes', changed, (part) => changeFileName(stamp + part))
    if (changes.length > 0) lastStamp = Math.max(lastStamp, stamp + changes.length - 1)
    stamps.set(name, stamp + changes.length)
    tables[name] = after(before, counts, loads.length, staged, options.clocks.get(name)!)
    files.push(...loads, ...changes)
  }
  if (files.length > 0) files.push(await writeJournal(options))

  const dropped = droppedJournals(manifest, progress)
  const horizon = dropped.reduce((highest, { newest }) => (newest > highest ? newest : highest), manifest.state.horizon)
  const state = { stamp: lastStamp, horizon, partitions: progress.partitions(), tables }
  await manifest.commit({ files, offsets: progress.offsets(), state, dropped })
  progress.published()
  await staging.clear(horizon)
}

async function settle({ storage, manifest, staging, progress }: FlushOptions, staged: Staged): Promise<StagedCounts> {
  const folder = `raw/${folderName(staged.table)}`
  const known = manifest.state.tables[folderName(staged.table)] ?? NEW_TABLE
  // once it is whole nothing that the stream inserts was in it: the load files are not read again, however large they are
  const mayMeet = progress.loading() && (staged.ops.L > 0 || (staged.ops.I > 0 && known.loads > 0))
  const names = mayMeet ? await storage.list(folder) : []
  const loads = names.filter((name) => /^LOAD[0-9A-F]+\.parquet$/.test(name))
  const isMixed = progress.loading() && staged.ops.L > 0 && changesOf(known) > 0
  const journals = (from: Position): Promise<string[]> =>
    localFiles(
      storage,
      manifest.journals(from).map(({ path }) => path),
    )
  return staging.settle(staged, {
    journals,
    duringLoad: isMixed ? await journals(BEGINNING) : [],
    loadFiles: await localFiles(
      storage,
      loads.map((name) => `${folder}/${name}`),
    ),
  })
}

function changesOf({ inserts, updates, deletes }: Omit<StagedCounts, 'loads'>): number {
  return inserts + updates + deletes
}

export async function localFiles(storage: Storage, paths: readonly string[]): Promise<string[]> {
  const files: string[] = []
  for (const path of paths) files.push(await storage.localFile(path))
  return files
}

async function writeFiles(
  { storage, manifest, staging, maxFileBytes }: FlushOptions,
  staged: Staged,
  which: 'loads' | 'changes',
  rows: number,
  fileName: (part: number) => string,
): Promise<StagedFile[]> {
  if (rows === 0) return []
  const { source, table } = staged.table
  const bytes = (staged.bytes / staged.rows) * rows
  const length = Math.ceil(rows / Math.max(1, Math.ceil(bytes / maxFileBytes)))
  const files = Array.from({ length: Math.ceil(rows / length) }, (_, part) => ({
    name: `${source}.${table}.${fileName(part)}`,
    path: `raw/${source}/${table}/${fileName(part)}`,
    rows: Math.min(length, rows - part * length),
  }))
  const targets = await Promise.all(files.map((file) => storage.workFile(manifest.staged(file.name))))
  await staging.writeParquet(staged, which, targets, length)
  return files
}

async function writeJournal({ storage, manifest, staging }: FlushOptions): Promise<StagedFile> {
  const name = 'journal.parquet'
  await staging.writeJournal(await storage.workFile(manifest.staged(name)))
  return { name, path: manifest.journalPath(staging.newest()), rows: 0 }
}

function after(before: TableState, counts: StagedCounts, loads: number, staged: Staged, clock: Clock): TableState {
  return {
    fullLoadRows: before.fullLoadRows + counts.loads,
    inserts: before.inserts + counts.inserts,
    updates: before.updates + counts.updates,
    deletes: before.deletes + counts.deletes,
    loads: before.loads + loads,
    clock: clock.time(),
    newest: staged.folder.newest,
  }
}

/** None during the load: what was published is then told from what was loaded by all of them. */
function droppedJournals(manifest: Manifest, progress: Progress): readonly Journal[] {
  if (progress.loading()) return []
  const all = manifest.journals(BEGINNING)
  const passed = progress.passed()
  return all.slice(0, Math.max(0, all.length - KEPT_JOURNALS)).filter((each) => each.newest <= passed)
}
