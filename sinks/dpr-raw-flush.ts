/** A flush: staged rows become parquet files, and one entry of the manifest publishes them with the sink's place. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from './dpr-raw-clock.ts'
import type { Journal, Manifest, StagedFile, TableState } from './dpr-raw-manifest.ts'
import { changeFileName, loadFileName } from './dpr-raw-names.ts'
import type { Progress } from './dpr-raw-progress.ts'
import { stagedName, type Staged, type StagedCounts, type Staging } from './dpr-raw-staging.ts'

export interface FlushOptions {
  readonly directory: string
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

const NEW_TABLE: TableState = {
  fullLoadRows: 0,
  inserts: 0,
  updates: 0,
  deletes: 0,
  loads: 0,
  clock: 0,
  newest: '' as TableState['newest'],
}

export async function flush(options: FlushOptions): Promise<void> {
  const { manifest, staging, progress } = options
  const stamp = Math.max(manifest.state.stamp + 1, options.now())
  const tables: Record<string, TableState> = { ...manifest.state.tables }
  const files: StagedFile[] = []
  let lastStamp = manifest.state.stamp
  for (const staged of staging.tables()) {
    const name = stagedName(staged.table)
    const before = tables[name] ?? NEW_TABLE
    const counts = await settle(options, staged)
    const loads = await writeFiles(options, staged, 'loads', counts.loads, (part) =>
      loadFileName(before.loads + 1 + part),
    )
    const changed = counts.inserts + counts.updates + counts.deletes
    const changes = await writeFiles(options, staged, 'changes', changed, (part) => changeFileName(stamp + part))
    if (changes.length > 0) lastStamp = Math.max(lastStamp, stamp + changes.length - 1)
    tables[name] = after(before, counts, loads.length, staged, options.clocks.get(name)!)
    files.push(...loads, ...changes)
  }
  if (files.length > 0) files.push(await writeJournal(options))

  const dropped = droppedJournals(manifest, progress)
  const horizon = dropped.reduce((highest, { newest }) => (newest > highest ? newest : highest), manifest.state.horizon)
  const state = { stamp: lastStamp, horizon, partitions: progress.partitions(), tables }
  await manifest.commit({ files, offsets: progress.offsets(), state, dropped })
  progress.published()
  await staging.clear()
}

async function settle({ directory, manifest, staging }: FlushOptions, staged: Staged): Promise<StagedCounts> {
  const folder = folderOf(directory, staged)
  const names = staged.loads ? await readdir(folder).catch(() => []) : []
  return staging.settle(staged, {
    journals: (from) => manifest.journals(from).map(({ path }) => join(directory, path)),
    loadFiles: names.filter((name) => /^LOAD[0-9A-F]+\.parquet$/.test(name)).map((name) => join(folder, name)),
  })
}

async function writeFiles(
  { manifest, staging, maxFileBytes }: FlushOptions,
  staged: Staged,
  which: 'loads' | 'changes',
  rows: number,
  fileName: (part: number) => string,
): Promise<StagedFile[]> {
  if (rows === 0) return []
  const { source, table } = staged.table
  const bytes = (staged.bytes / staged.rows) * rows
  const length = Math.ceil(rows / Math.max(1, Math.ceil(bytes / maxFileBytes)))
  const folder = await manifest.staging()
  const files = Array.from({ length: Math.ceil(rows / length) }, (_, part) => ({
    name: `${source}.${table}.${fileName(part)}`,
    path: join('raw', source, table, fileName(part)),
    rows: Math.min(length, rows - part * length),
  }))
  const targets = files.map((file) => join(folder, file.name))
  await staging.writeParquet(staged, which, targets, length)
  return files
}

async function writeJournal({ manifest, staging }: FlushOptions): Promise<StagedFile> {
  const name = 'journal.parquet'
  await staging.writeJournal(join(await manifest.staging(), name))
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
    newest: staged.newest,
  }
}

function droppedJournals(manifest: Manifest, progress: Progress): readonly Journal[] {
  const all = manifest.journals('' as Journal['newest'])
  const passed = progress.passed()
  return all.slice(0, Math.max(0, all.length - KEPT_JOURNALS)).filter((each) => each.newest <= passed)
}

function folderOf(directory: string, { table }: Staged): string {
  return join(directory, 'raw', table.source, table.table)
}
