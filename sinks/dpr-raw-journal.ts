/** Journals: keys and positions of what was published lately, one parquet file for each flush. */
import type { Position } from '../core/position.ts'

export interface Journal {
  readonly sequence: number
  readonly newest: Position
  readonly path: string
}

export function journalPath(sequence: number, newest: Position): string {
  return `manifest/journal/${digits(sequence)}-${newest.replaceAll('/', '-')}.parquet`
}

/** Null when the path is no journal's. */
export function journalOf(path: string): Journal | null {
  const parts = /^manifest\/journal\/(\d+)-([0-9a-f]{4})-([0-9a-f]{16})-([0-9a-f]{8})\.parquet$/.exec(path)
  if (parts === null) return null
  return { sequence: Number(parts[1]), newest: `${parts[2]}/${parts[3]}/${parts[4]}` as Position, path }
}

/** A flush's number, so that text order is its order. */
export function digits(sequence: number): string {
  return String(sequence).padStart(10, '0')
}
