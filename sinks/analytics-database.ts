/** Opening the analytics store: one DuckDB instance a directory, and DuckDB's errors as the pipeline's. */
import { mkdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { PipelineError } from '../core/error.ts'

export interface Store {
  /** Absolute, links resolved: what views may name. */
  readonly directory: string
  readonly instance: DuckDBInstance
  /**
   * A connection whose statements take turns with those of the others: where two need more memory than there is
   * together, DuckDB lets one of them fail instead of wait.
   */
  connect(): Promise<DuckDBConnection>
  /** Frees the directory for another sink. */
  close(): void
}

/**
 * DuckDB's own lock belongs to the process: a second instance of the same file in this process would be let in, and
 * what one of the two wrote would be lost.
 */
const opened = new Set<string>()

/**
 * Opens `<directory>/store.duckdb`, made when it is missing. `memoryLimit` is DuckDB's, e.g. `512MB`.
 * SINK when another writer holds it or the directory cannot be used, SINK_FOREIGN when it is no DuckDB file.
 */
export async function openStore(path: string, memoryLimit: string): Promise<Store> {
  const directory = usableDirectory(path)
  if (opened.has(directory)) throw held(directory)
  opened.add(directory)
  try {
    const instance = await DuckDBInstance.create(join(directory, 'store.duckdb'), {
      memory_limit: memoryLimit,
      // Nearly all statements are of a few rows, and dearer by half where threads hand them to one another.
      threads: '1',
      // What is freed goes back to the system soon: by default 128 MB for each thread may stay with the process.
      allocator_flush_threshold: '8MB',
      allocator_bulk_deallocation_flush_threshold: '8MB',
      preserve_insertion_order: 'false',
      // A write of 20,000 rows fills the default 16 MiB, and each checkpoint rewrites what the tables end with.
      checkpoint_threshold: '128MiB',
      temp_directory: join(directory, 'spilled'),
    })
    let queue: Promise<unknown> = Promise.resolve()
    return {
      directory,
      instance,
      connect: async () => {
        const connection = await instance.connect()
        const run = connection.run.bind(connection)
        connection.run = (...statement) => {
          const turn = queue.then(() => run(...statement))
          queue = turn.catch(() => {})
          return turn
        }
        return connection
      },
      close: () => {
        instance.closeSync()
        opened.delete(directory)
      },
    }
  } catch (error) {
    opened.delete(directory)
    throw sinkError(error, directory)
  }
}

/** What DuckDB or the file system reported, without any cell's value: DuckDB quotes them in its messages. */
export function sinkError(error: unknown, directory: string): PipelineError {
  if (error instanceof PipelineError) return error
  const message = error instanceof Error ? error.message : String(error)
  if (/set lock on file|conflicting lock/i.test(message)) return held(directory)
  if (/no space left|ENOSPC|disk quota|max_temp_directory_size/i.test(message)) {
    return new PipelineError(
      'DISK_FULL',
      `No space is left on the device of the analytics directory ${directory}.`,
      'Free space or move the directory; the sink reads on from its last commit.',
    )
  }
  if (
    /not a valid DuckDB|corrupt|Serialization Error|checksum|version number|newer (?:version|DuckDB)/i.test(message)
  ) {
    return foreign(directory, 'store.duckdb is damaged or is not a DuckDB file that this version reads')
  }
  if (/database has been invalidated/i.test(message)) {
    return new PipelineError(
      'SINK',
      `DuckDB has given up the analytics store in ${directory} after an earlier failure.`,
      'Mend the earlier failure and open the sink again; it reads on from its last commit.',
    )
  }
  if (/^Out of Memory/i.test(message)) {
    return new PipelineError(
      'SINK',
      `DuckDB needs more memory than the analytics sink's limit in ${directory}.`,
      'Raise the memory limit of the analytics sink, or write smaller batches.',
    )
  }
  const kind = /^[A-Z][A-Za-z ]+ Error/.exec(message)?.[0] ?? (error as { code?: string }).code ?? 'an unknown error'
  return new PipelineError(
    'SINK',
    `The analytics directory ${directory} cannot be written: ${kind}.`,
    'Check the directory, its rights and its device; the sink reads on from its last commit.',
    QUOTES_NO_CELLS.test(kind) ? { cause: error } : {},
  )
}

/** Kinds whose messages name files, tables and statements only. */
const QUOTES_NO_CELLS = /^(?:(?:IO|Binder|Catalog|Parser|Transaction|TransactionContext) Error|E[A-Z]+)$/

/** SINK_FOREIGN: `found` completes "the analytics directory …:". */
export function foreign(directory: string, found: string): PipelineError {
  return new PipelineError(
    'SINK_FOREIGN',
    `The analytics directory ${directory} cannot be continued: ${found}.`,
    'Move the directory away and start again: the sink is filled anew from the raw topic.',
  )
}

function held(directory: string): PipelineError {
  return new PipelineError(
    'SINK',
    `The analytics store in ${directory} is held by another writer; it needs this one alone.`,
    'Stop the other process that delivers to this directory. To read, open incidents.duckdb, never store.duckdb.',
  )
}

function usableDirectory(path: string): string {
  try {
    mkdirSync(path, { recursive: true })
    return realpathSync(path)
  } catch (error) {
    throw sinkError(error, path)
  }
}
