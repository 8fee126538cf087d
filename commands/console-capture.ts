/** What capture's state files say, of whichever process; the state directory may be on another machine. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { StoppedTable, TableReading } from '../console/table-state.ts'

export interface CaptureState {
  /** Of the newest request that reads a table, by table. */
  readonly readings: readonly TableReading[]
  readonly stopped: readonly StoppedTable[]
  /** Tables whose reading outside the stream is held up. */
  readonly paused: readonly string[]
}

interface Row {
  readonly table: string
  readonly outcome: string
  readonly rows: number
  readonly expected: number
}

const READINGS = `
  SELECT p.tab AS "table", p.outcome, p.rows, p.expected FROM part p JOIN request r ON r.id = p.request
  WHERE json_extract(r.body, '$.kind') = 'tables' ORDER BY r.seq`

/** Null when capture has never run with this directory here. */
export function readCaptureState(stateDirectory: string): CaptureState | null {
  const file = join(stateDirectory, 'capture.sqlite')
  if (!existsSync(file)) return null
  const rows = read<Row>(file, READINGS)
  const newest = new Map(rows.map((row) => [row.table, row]))
  return {
    readings: [...newest.values()].map((row) => ({ ...row, rowsPerSecond: null, secondsLeft: null })),
    stopped: readStopped(join(stateDirectory, 'stopped.sqlite')),
    paused: read<{ tab: string }>(file, 'SELECT tab FROM paused').map(({ tab }) => tab),
  }
}

function readStopped(file: string): StoppedTable[] {
  if (!existsSync(file)) return []
  return read<StoppedTable>(file, 'SELECT tab AS "table", found, remedy FROM stopped WHERE lifted = 0 ORDER BY tab')
}

/** Nothing where the file is of a version that knows no such table, or is being made at this moment. */
function read<T>(file: string, sql: string): T[] {
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    db.exec('PRAGMA busy_timeout=1000')
    return db.prepare(sql).all() as T[]
  } catch {
    return []
  } finally {
    db.close()
  }
}
