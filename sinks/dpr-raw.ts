/**
 * DPR's raw zone, as AWS DMS would fill it: parquet files in `raw/<source>/<table>`, contracts in `contracts`,
 * the jobs' table lists in `configs`, and the sink's own `manifest`, all in one folder or below one prefix of a bucket.
 *
 *   incidentreporting  the tables of the incident database's schema `public`, column for column as policy clears them
 *   incidents          the unified entities, both models
 *
 * Each write is one flush: its rows are staged in DuckDB, written to parquet beside the raw zone, and published by one
 * entry of the manifest, which also holds the sink's place. So a change that comes again is known by its offset, and a
 * flush happens wholly or not at all.
 *
 * An upsert of a unified row is an I only where the source row is new. What else brings a row into being (a code that
 * could not be mapped before, an update that turns one entity into another) is a U: DPR inserts a row that it does not
 * know, and may ignore an I for one that it does (rule dpr.keys).
 */
import { dirname } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { RowChange } from '../core/change.ts'
import { PipelineError } from '../core/error.ts'
import type { EntityRow, IncidentChange } from '../core/incident.ts'
import type { PlacedSink } from '../core/place.ts'
import { BEGINNING } from '../core/position.ts'
import { columnKind as policyKind } from '../schemas/policy/columns.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import type { ContractOwner } from './dpr-raw-contracts.ts'
import { dprError } from './dpr-raw-error.ts'
import { flush, localFiles } from './dpr-raw-flush.ts'
import { folders, type Folder } from './dpr-raw-folders.ts'
import { remembered } from './dpr-raw-gone.ts'
import { lifecycle } from './dpr-raw-lifecycle.ts'
import { openManifest, type Step } from './dpr-raw-manifest.ts'
import { timestampText } from './dpr-raw-names.ts'
import { inCommitOrder, isMove, splitAtLoad } from './dpr-raw-order.ts'
import { progressFrom } from './dpr-raw-progress.ts'
import type { StagedOp } from './dpr-raw-settle.ts'
import { openStaging, type RowMeta } from './dpr-raw-staging.ts'
import type { TableCounts } from './dpr-raw-state.ts'
import { openStorage, type Storage } from './dpr-raw-storage.ts'
import type { ColumnKind } from './dpr-raw-tables.ts'

/** As DMS cuts its files (rule dpr.flush). */
const MAX_FILE_BYTES = 120_000_000

export interface DprRawOptions {
  /** A folder, made when it is missing, on one file system; or `s3://bucket/prefix`. */
  readonly directory: string
  /** Told what a person should know: that the columns of a table have changed. */
  readonly warn?: (sentence: string) => void
  /** The projections of the output `dpr-raw`. */
  readonly projections: Projections
  /** How source columns are classified; the policy's own table unless given. */
  readonly columnKind?: ColumnKind
  /** Who answers for the contracts. */
  readonly owner?: ContractOwner
  /** The size that a file should not exceed, counted as in the topic; 120 MB unless given. */
  readonly maxFileBytes?: number
  /** DuckDB's; `256MB` unless given. */
  readonly memoryLimit?: string
  /** Milliseconds since the Unix epoch. */
  readonly now?: () => number
  /** How often a held sink looks whether it may go on, in milliseconds; 1000 unless given. */
  readonly lookMs?: number
  /** Called between the steps of a flush, for tests of what a crash there leaves. */
  readonly onStep?: (step: Step) => void
}

export interface DprRawSink extends PlacedSink<IncidentChange> {
  /** What was published, by `source/table`, with DMS's names: its counts are those of the rows in the files. */
  statistics(): ReadonlyMap<string, TableCounts>
}

/** So many changes are staged before others in this process have their turn: about 20 ms. */
const STAGED_AT_ONCE = 1000

const OWNER: ContractOwner = {
  contacts: { author: 'incidents', team: 'incidents', slack: 'incidents' },
  database: { type: 'postgres', version: '18', name: 'incident_reporting' },
}

/**
 * Opens the raw zone for writing and shuts an older writer out. Errors of this and of `write`: SINK_FOREIGN when another
 * writer is at work or the zone holds what no manifest knows, STATE_VERSION when its manifest is of another version,
 * CONTRACT when DPR cannot hold a table, DISK_FULL, SINK. After an error the sink takes no more writes; opened again, it goes on behind the last
 * flush that happened.
 */
export async function dprRaw(options: DprRawOptions): Promise<DprRawSink> {
  const { directory } = options
  const storage = openStorage(directory)
  const { manifest, staging } = await openZone(storage, options).catch(async (error: unknown) => {
    await storage.close()
    throw dprError(error, directory)
  })
  const progress = progressFrom(manifest.state.partitions)
  const life = lifecycle(storage, options.lookMs)
  const open = folders({
    storage,
    projections: options.projections,
    columnKind: options.columnKind ?? policyKind,
    owner: options.owner ?? OWNER,
    staging,
    warn: options.warn ?? (() => {}),
    state: (name) => manifest.state.tables[name],
  })
  let failed = false

  function stageSource({ change, op }: StagedChange): void {
    const folder = open.ofSource(change.table)
    if (folder === null) return
    folder.staged.bytes += change.bytes
    staging.addRow(folder.staged, metaOf(change, op, folder), (change.after ?? change.before)!)
  }

  function stageEntity({ change, op }: StagedChange, row: EntityRow): void {
    const folder = open.ofEntity(row.entity)
    folder.staged.bytes += change.bytes
    const values = options.projections[row.entity].project(row.value)
    staging.addValues(folder.staged, metaOf(change, row.op === 'delete' ? 'D' : op, folder), values)
  }

  function stageItem(item: IncidentChange, staged: StagedChange): void {
    stageSource(staged)
    for (const row of item.rows) stageEntity(staged, row)
  }

  /** The row was updated, and so was each unified row of its key; a unified row that is not made again is gone. */
  function stageMove(gone: Streamed, come: Streamed): void {
    const lost = gone.rows.filter((row) => !come.rows.some(({ entity, id }) => entity === row.entity && id === row.id))
    for (const row of lost) stageEntity({ change: gone.change, op: 'D' }, row)
    stageItem(come, { change: come.change, op: 'U' })
  }

  async function stage(items: readonly IncidentChange[]): Promise<void> {
    let gone: Streamed | null = null
    for (const [n, item] of inCommitOrder(items).entries()) {
      if (n % STAGED_AT_ONCE === STAGED_AT_ONCE - 1) await setImmediate()
      if (!progress.take(item.change) || !isStreamed(item)) continue
      if (!open.isOpen(item)) await open.open(item)
      if (gone !== null && isMove(gone.change, item.change)) {
        stageMove(gone, item)
        gone = null
        continue
      }
      if (gone !== null) stageItem(gone, { change: gone.change, op: 'D' })
      gone = null
      const { change } = item
      if (change.op === 'd') gone = item
      else if (change.op === 'c') stageItem(item, { change, op: progress.mayBeHeld(change) ? 'U' : 'I' })
      else if (change.op === 'u') stageItem(item, { change, op: 'U' })
      else if (!progress.loaded(change.partition)) stageItem(item, { change, op: 'L' })
      else if (change.position > manifest.state.horizon) stageItem(item, { change, op: 'R' })
    }
    if (gone !== null) stageItem(gone, { change: gone.change, op: 'D' })
  }

  async function writeNow(items: readonly IncidentChange[]): Promise<void> {
    const fresh = items.filter((item) => progress.isNew(item.change))
    await stage(fresh)
    if (progress.midway() || !progress.moved()) return
    const { maxFileBytes = MAX_FILE_BYTES, now = Date.now } = options
    await life.passed('hold', manifest.state.tables)
    await flush({ storage, manifest, staging, progress, clocks: open.clocks, maxFileBytes, now })
    open.close()
    await life.tell(progress.allLoaded() ? 'cdc' : 'full-load', manifest.state.tables)
  }

  /** Changes that came while the load went on elsewhere, and must not be written before it is whole. */
  let waiting: readonly IncidentChange[] = []

  async function write(items: readonly IncidentChange[]): Promise<void> {
    if (progress.allLoaded() || !(await life.stopsAfterLoad())) {
      await writeNow([...waiting, ...items])
      waiting = []
      return
    }
    const { load, rest } = splitAtLoad([...waiting, ...items], progress.loaded)
    await writeNow(load)
    waiting = rest
    if (!progress.allLoaded()) return
    await life.passed('hold-after-load', manifest.state.tables)
    await writeNow(rest)
    waiting = []
  }

  return {
    write: async (items) => {
      if (failed) throw stopped(directory)
      try {
        await write(items)
      } catch (error) {
        failed = true
        throw dprError(error, directory)
      }
    },
    places: async (partitions) => {
      for (const partition of partitions) progress.know(partition)
      return new Map(
        partitions.flatMap((partition) => {
          const known = manifest.state.partitions[partition]
          return known === undefined ? [] : [[partition, { next: known.next, height: known.height }]]
        }),
      )
    },
    close: async () => {
      life.close()
      staging.close()
      await storage.close()
    },
    statistics: () => new Map(Object.entries(manifest.state.tables)),
  }
}

async function openZone(storage: Storage, { onStep, memoryLimit }: DprRawOptions) {
  const manifest = await openManifest(storage, onStep)
  const staging = await openStaging({
    spillDirectory: dirname(await storage.workFile('manifest/spilled/any')),
    memoryLimit: memoryLimit ?? '256MB',
    journals: await localFiles(storage, remembered(manifest.journals(BEGINNING))),
  })
  return { manifest, staging }
}

type Streamed = IncidentChange & { readonly change: RowChange }

interface StagedChange {
  readonly change: RowChange
  /** What becomes of its row, and of the unified rows that it makes. */
  readonly op: StagedOp
}

function isStreamed(item: IncidentChange): item is Streamed {
  return item.change.op !== 'm'
}

function metaOf(change: RowChange, op: StagedOp, { clock }: Folder): RowMeta {
  const timestamp = timestampText(change.committedAt)
  return { op, timestamp, checkpoint: clock.checkpoint(change), position: change.position }
}

function stopped(directory: string): PipelineError {
  return new PipelineError(
    'SINK',
    `The writer of DPR's raw zone in ${directory} has stopped at an earlier error`,
    'Open it again: it goes on behind the last flush that happened.',
  )
}
