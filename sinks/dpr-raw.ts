/**
 * DPR's raw zone, as AWS DMS would fill it (dpr 10): parquet files in `raw/<source>/<table>`, contracts in `contracts`,
 * the jobs' table lists in `configs`, and the sink's own `manifest`, all in one directory.
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
 * know, and may ignore an I for one that it does (dpr 1.7).
 */
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { RowChange } from '../core/change.ts'
import { PipelineError } from '../core/error.ts'
import type { EntityRow, IncidentChange } from '../core/incident.ts'
import type { PlacedSink } from '../core/place.ts'
import { columnKind as policyKind } from '../schemas/policy/columns.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import type { ContractOwner } from './dpr-raw-contracts.ts'
import { dprError } from './dpr-raw-error.ts'
import { flush } from './dpr-raw-flush.ts'
import { folders, type Folder } from './dpr-raw-folders.ts'
import { openManifest, type Step, type TableCounts } from './dpr-raw-manifest.ts'
import { timestampText } from './dpr-raw-names.ts'
import { inCommitOrder, isMove } from './dpr-raw-order.ts'
import { progressFrom } from './dpr-raw-progress.ts'
import { openStaging, type RowMeta, type StagedOp } from './dpr-raw-staging.ts'
import type { ColumnKind } from './dpr-raw-tables.ts'

/**
 * What a feed should be grouped by before this sink. The age is DMS's (dpr 10.13); the size is less than its 120 MB,
 * since a flush is held in memory as rows, at some ten times its size in the topic.
 */
export const DPR_FLUSH = { ageMs: 10_000, bytes: 32_000_000 } as const

/** As DMS cuts its files (dpr 10.13). */
const MAX_FILE_BYTES = 120_000_000

export interface DprRawOptions {
  /** Made when it is missing. All of it must lie on one file system. */
  readonly directory: string
  /** The projections of the output `dpr-raw`. */
  readonly projections: Projections
  /** How source columns are classified; the policy's own table unless given. */
  readonly columnKind?: ColumnKind
  /** Who answers for the contracts. */
  readonly owner?: ContractOwner
  /** The size that a file should not exceed, counted as in the topic; 120 MB unless given. */
  readonly maxFileBytes?: number
  /** DuckDB's memory and threads; `512MB` and 2 unless given. */
  readonly memoryLimit?: string
  readonly threads?: number
  /** Milliseconds since the Unix epoch. */
  readonly now?: () => number
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
 * writer is at work or the directory holds what no manifest knows, CONTRACT when a table no longer has the columns of
 * its contract, DISK_FULL, SINK. After an error the sink takes no more writes; opened again, it goes on behind the last
 * flush that happened.
 */
export async function dprRaw(options: DprRawOptions): Promise<DprRawSink> {
  const { directory } = options
  const spillDirectory = join(directory, 'manifest', 'spilled')
  const manifest = await openManifest(directory, options.onStep).catch((error: unknown) => {
    throw dprError(error, directory)
  })
  const staging = await openStaging({
    spillDirectory,
    memoryLimit: options.memoryLimit ?? '512MB',
    threads: options.threads ?? 2,
  })
  const progress = progressFrom(manifest.state.partitions)
  const open = folders({
    directory,
    projections: options.projections,
    columnKind: options.columnKind ?? policyKind,
    owner: options.owner ?? OWNER,
    staging,
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
      if (gone !== null && isMove(gone.change, item.change)) {
        stageMove(gone, item)
        gone = null
        continue
      }
      if (gone !== null) stageItem(gone, { change: gone.change, op: 'D' })
      gone = null
      const { change } = item
      if (change.op === 'd') gone = item
      else if (change.op !== 'r') stageItem(item, { change, op: change.op === 'c' ? 'I' : 'U' })
      else if (!progress.loaded(change.partition)) stageItem(item, { change, op: 'L' })
      else if (change.position > manifest.state.horizon) stageItem(item, { change, op: 'R' })
    }
    if (gone !== null) stageItem(gone, { change: gone.change, op: 'D' })
  }

  async function write(items: readonly IncidentChange[]): Promise<void> {
    const fresh = items.filter((item) => progress.isNew(item.change))
    await open.open(fresh)
    await stage(fresh)
    if (progress.midway() || !progress.moved()) return
    const { maxFileBytes = MAX_FILE_BYTES, now = Date.now } = options
    await flush({ directory, manifest, staging, progress, clocks: open.clocks, maxFileBytes, now })
    open.close()
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
    close: async () => staging.close(),
    statistics: () => new Map(Object.entries(manifest.state.tables)),
  }
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
