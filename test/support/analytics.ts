/** Incident changes by hand, and what an analytics sink or its published copy holds. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Op } from '../../core/change.ts'
import type { PipelineError } from '../../core/error.ts'
import type { EntityRow, Fields, IncidentChange } from '../../core/incident.ts'
import { position, type Position } from '../../core/position.ts'
import { projections } from '../../schemas/policy/projection.ts'
import { analytics, type AnalyticsOptions, type AnalyticsSink } from '../../sinks/analytics.ts'
import { onDuckDb } from '../../sinks/duckdb.ts'
import { dpsReport } from './unified-rows.ts'

export const ANALYTICS_PROJECTIONS = projections('analytics', 'a key for tests')

/** Publishes when told to, and at the end. */
export function analyticsOptions(directory: string, more: Partial<AnalyticsOptions> = {}): AnalyticsOptions {
  return {
    directory,
    projections: ANALYTICS_PROJECTIONS,
    rulesVersion: 'rules-1',
    publish: { intervalMs: 3_600_000 },
    memoryLimit: '256MB',
    ...more,
  }
}

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'incidents-analytics-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export async function openAnalytics(directory: string, more: Partial<AnalyticsOptions> = {}): Promise<AnalyticsSink> {
  const sink = await analytics(analyticsOptions(directory, more))
  onTestFinished(() => sink.close().catch(() => {}))
  return sink
}

export interface ChangeOptions {
  readonly offset: number
  readonly lsn: number
  readonly ordinal?: number
  readonly partition?: number
  readonly op?: Op
  /** False for all but the last change of a transaction. */
  readonly last?: boolean
  readonly committedAt?: number
  readonly rows?: readonly EntityRow[]
  readonly refusal?: PipelineError
  /** The source row's key. */
  readonly key?: string
  readonly reference?: string
}

export function incidentChange(options: ChangeOptions): IncidentChange {
  const { lsn, offset, op = 'c', last = true, partition = 0, rows = [], refusal = null } = options
  const row = { id: options.key ?? 'key' }
  return {
    change: {
      op,
      position: position(1, lsn, op === 'r' ? 0 : (options.ordinal ?? 1)),
      lsn,
      committedAt: options.committedAt ?? lsn * 1_000_000,
      txId: op === 'r' ? 0 : lsn,
      partition,
      offset,
      streamedTo: '' as Position,
      lastInTransaction: last,
      bytes: 200,
      table: { schema: 'public', name: 'report', columns: [], key: ['id'] },
      reference: options.reference ?? '10000001',
      before: op === 'd' ? row : null,
      after: op === 'd' ? null : row,
    },
    rows,
    refusal,
    absence: null,
  }
}

export function reportRow(id: string, fields: Fields = {}, op: EntityRow['op'] = 'upsert'): EntityRow {
  const { value } = dpsReport(1)
  return {
    entity: 'Report',
    id,
    op,
    value: {
      ...value,
      id,
      sourceKey: id,
      reportedBy: 'USER1',
      title: 'Café 🚨',
      followUpDate: '2024-07-09',
      ...fields,
    },
  }
}

/** The sink's Reports by id: status and position. */
export async function reports(sink: AnalyticsSink): Promise<Record<string, string>> {
  const status = ANALYTICS_PROJECTIONS.Report.fields.findIndex(({ column }) => column === 'status')
  const found: Record<string, string> = {}
  for await (const { id, values } of sink.currentRows('Report')) found[id] = String(values[status])
  return Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)))
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** Asks the published copy, as an analyst would; values as text. */
export async function ask(directory: string, sql: string): Promise<(string | null)[][]> {
  return onDuckDb(join(directory, 'incidents.duckdb'), { access_mode: 'READ_ONLY' }, async (connection) => {
    await connection.run("SET TimeZone = 'UTC'")
    const rows = (await connection.runAndReadAll(sql)).getRows()
    return rows.map((row) => row.map((value) => (value === null ? null : String(value))))
  })
}
