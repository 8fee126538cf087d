/** Repair: what would be read again, asking capture for it, and waiting until it is done. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type pg from 'pg'
import { incidentSelection, keySelection, publishedTables, type Published } from '../connectors/postgres/chunks.ts'
import { quoted } from '../connectors/postgres/catalog.ts'
import { progressOf, type Progress } from '../connectors/postgres/request-store.ts'
import type { Request } from '../connectors/postgres/requests.ts'
import { tableName } from '../core/change.ts'
import { PipelineError } from '../core/error.ts'

/** What of a table would be read again. */
export interface PlannedTable {
  readonly table: string
  /** Rows in the source now; for whole tables the server's estimate. */
  readonly rows: number
  /** Primary keys that were named; null where the table or an incident was. */
  readonly keys: number | null
}

/** PUBLICATION when a table is not published; SOURCE_SCHEMA when keys are named of a table that has none. */
export async function planRepair(
  client: pg.Client,
  publication: string,
  requests: readonly Request[],
): Promise<PlannedTable[]> {
  const tables = await publishedTables(client, publication)
  const planned: PlannedTable[] = []
  for (const request of requests) planned.push(...(await planRequest(client, request, tables)))
  return planned
}

async function planRequest(
  client: pg.Client,
  request: Request,
  tables: ReadonlyMap<string, Published>,
): Promise<PlannedTable[]> {
  switch (request.kind) {
    case 'tables': {
      const names = request.tables ?? [...tables.keys()]
      return Promise.all(
        names.map(async (name) => {
          const { table } = publishedTable(tables, name)
          const { rows } = await client.query<{ n: string }>(
            `SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::int8 AS n FROM pg_class c
             WHERE c.oid = $1::regclass OR c.oid IN (SELECT relid FROM pg_partition_tree($1::regclass) WHERE isleaf)`,
            [quoted(table)],
          )
          return { table: name, rows: Number(rows[0]!.n), keys: null }
        }),
      )
    }
    case 'rows': {
      const published = publishedTable(tables, request.table)
      const { key } = published.table
      if (key.length === 0 || request.keys.some((values) => values.length !== key.length)) {
        throw new PipelineError(
          'CONFIG',
          `a key of ${request.table} has ${key.length} values (${key.join(', ') || 'it has no primary key'}), others were given`,
          'Give one value for each column of the primary key, or name the table with --table.',
        )
      }
      const found = await count(client, keySelection(published, request.keys).from)
      return [{ table: request.table, rows: found, keys: request.keys.length }]
    }
    case 'incidents': {
      const planned: PlannedTable[] = []
      for (const published of tables.values()) {
        const selection = incidentSelection(published, request.references, tables)
        if (selection === null) continue
        planned.push({
          table: tableName(published.table),
          rows: await count(client, selection.from),
          keys: null,
        })
      }
      return planned
    }
  }
}

async function count(client: pg.Client, from: string): Promise<number> {
  const { rows } = await client.query<{ n: string }>(`SELECT count(*) AS n FROM ${from}`)
  return Number(rows[0]!.n)
}

function publishedTable(tables: ReadonlyMap<string, Published>, name: string): Published {
  const found = tables.get(name)
  if (found !== undefined) return found
  throw new PipelineError(
    'PUBLICATION',
    `${name} is not published`,
    `Name one of ${[...tables.keys()].join(', ')}, or add it to the publication.`,
  )
}

/** `report` is `public.report`. */
export function fullName(table: string): string {
  return table.includes('.') ? table : `public.${table}`
}

/** How capture on this machine stands with a request; null when it does not know it, or runs elsewhere. */
export function readProgress(stateDirectory: string, id: string): Progress | null {
  const file = join(stateDirectory, 'capture.sqlite')
  if (!existsSync(file)) return null
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    db.exec('PRAGMA busy_timeout=5000')
    return progressOf(db, id)
  } catch {
    return null // of a version that knows no requests, or being made at this moment
  } finally {
    db.close()
  }
}

export interface WaitOptions {
  readonly stateDirectory: string
  readonly signal: AbortSignal
  /** How long capture may take to see the request. */
  readonly seenMs: number
  progress?(progress: Progress): void
}

/** Resolves when the request is done, with what became of it; null when no capture on this machine has seen it in time. */
export async function untilDone(id: string, options: WaitOptions): Promise<Progress | null> {
  const deadline = performance.now() + options.seenMs
  while (true) {
    options.signal.throwIfAborted()
    const found = readProgress(options.stateDirectory, id)
    if (found !== null) options.progress?.(found)
    if (found?.done === true) return found
    if (found === null && performance.now() > deadline) return null
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
