/** A raw zone in a directory of its own, changes for it by hand, and what other readers find in its files. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Marker, Op, Row, RowChange, Table } from '../../core/change.ts'
import type { IncidentChange } from '../../core/incident.ts'
import { position, type Position } from '../../core/position.ts'
import { projections } from '../../schemas/policy/projection.ts'
import { mirrorZone } from '../../sinks/dpr-raw-mirror.ts'
import { dprRaw, type DprRawOptions, type DprRawSink } from '../../sinks/dpr-raw.ts'
import { onDuckDb } from '../../sinks/duckdb.ts'
import { unify } from '../../transforms/unify.ts'
import { sourceTable } from './source-rows.ts'

export const DPR_PROJECTIONS = projections('dpr-raw', 'a key for tests')

export function rawZone(): string {
  const directory = mkdtempSync(join(tmpdir(), 'incidents-dpr-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** The zone as it is now, as a folder of its own. */
export async function mirrored(location: string): Promise<string> {
  const directory = rawZone()
  await mirrorZone(location, ['raw', 'contracts', 'configs', 'manifest'], directory)
  return directory
}

export async function openDprRaw(directory: string, more: Partial<DprRawOptions> = {}): Promise<DprRawSink> {
  const sink = await dprRaw({ directory, projections: DPR_PROJECTIONS, memoryLimit: '256MB', ...more })
  onTestFinished(() => sink.close().catch(() => {}))
  return sink
}

export interface ChangeParts {
  readonly table?: string | Table
  readonly before?: Row
  readonly after?: Row
  /** What it does follows from its images unless this says it. */
  readonly op?: Op
  readonly offset: number
  /** Of the commit; the change's own is a little before it. */
  readonly lsn: number
  readonly ordinal?: number
  /** The change's own LSN. */
  readonly at?: number
  readonly partition?: number
  readonly committedAt?: number
  readonly last?: boolean
  readonly bytes?: number
  readonly reference?: string
}

const tables = new Map<string, Table>()

/** The same object for the same name, as a decoder gives it. */
export function tableOf(name: string): Table {
  const found = tables.get(name) ?? sourceTable(name)
  tables.set(name, found)
  return found
}

export function rowChange(parts: ChangeParts): RowChange {
  const { table = 'public.question', before = null, after = null, lsn, partition = 0 } = parts
  const op = parts.op ?? (before === null ? 'c' : after === null ? 'd' : 'u')
  const at = position(1, lsn, op === 'r' ? 0 : (parts.ordinal ?? 1))
  return {
    op,
    table: typeof table === 'string' ? tableOf(table) : table,
    reference: parts.reference ?? '10000042',
    before,
    after,
    position: at,
    lsn: parts.at ?? lsn - 800 + 8 * (parts.ordinal ?? 0),
    committedAt: parts.committedAt ?? Date.UTC(2024, 4, 6, 12) * 1000 + lsn,
    txId: op === 'r' ? 0 : lsn,
    partition,
    offset: parts.offset,
    streamedTo: at,
    lastInTransaction: parts.last ?? true,
    bytes: parts.bytes ?? 200,
  }
}

export function change(parts: ChangeParts): IncidentChange {
  return unify(rowChange(parts))
}

export function marker(parts: {
  offset: number
  lsn: number
  partition?: number
  snapshotDone?: boolean
}): IncidentChange {
  const found: Marker = {
    op: 'm',
    position: position(1, parts.lsn, 0),
    lsn: parts.lsn,
    committedAt: Date.UTC(2024, 4, 6, 12) * 1000 + parts.lsn,
    txId: 0,
    partition: parts.partition ?? 0,
    offset: parts.offset,
    streamedTo: '' as Position,
    lastInTransaction: false,
    bytes: 50,
    slot: 'incidents',
    systemIdentifier: '7',
    timeline: 1,
    snapshotDone: parts.snapshotDone ?? true,
    stopped: [],
  }
  return unify(found)
}

/** The files of a folder of the raw zone, in name order. */
export function filesOf(directory: string, folder: string): string[] {
  try {
    return readdirSync(join(directory, 'raw', folder)).sort()
  } catch {
    return []
  }
}

/** The rows of a folder in the order in which they were written, load files first. */
export async function rowsOf(directory: string, folder: string, columns = '*'): Promise<Record<string, unknown>[]> {
  const files = filesOf(directory, folder)
  const ordered = [
    ...files.filter((name) => name.startsWith('LOAD')),
    ...files.filter((name) => !name.startsWith('LOAD')),
  ]
  return onDuckDb(':memory:', {}, async (connection) => {
    await connection.run(`SET TimeZone = 'UTC'`)
    const rows: Record<string, unknown>[] = []
    for (const name of ordered) {
      const file = join(directory, 'raw', folder, name)
      const reader = await connection.runAndReadAll(`SELECT ${columns} FROM read_parquet('${file}')`)
      rows.push(...reader.getRowObjectsJson())
    }
    return rows
  })
}
