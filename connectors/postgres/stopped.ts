/**
 * Tables that are no longer followed: a TRUNCATE, or a change of the table that the topic cannot take. Their changes are
 * left out from there on, and those of their children; all others go on. Kept in the state directory and told by every
 * marker, until a repair has made them equal again.
 */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Position } from '../../core/position.ts'
import { ROUTES } from './routes.ts'
import { guarded } from './state.ts'

/** Why a table is stopped: what was found, and how to mend it. */
export interface Verdict {
  readonly found: string
  readonly remedy: string
}

export interface Stops {
  /** `schema.table` of every table that is stopped, in order. */
  names(): readonly string[]
  verdict(table: string): Verdict | null
  /**
   * Stops a table and its children behind a position. Of a table that is stopped already the first verdict stays, and a
   * stop that comes again in a replay changes nothing.
   */
  stop(table: string, position: Position, verdict: Verdict): void
  /** Whether a change of the table at this position is left out. */
  leavesOut(table: string, position: Position): boolean
  /** A repair begins: changes behind the position are written again, while the table still counts as stopped. */
  resume(table: string, position: Position): void
  /** The table is equal to its source again. */
  lift(table: string): void
  /** The slot is new: nothing is stopped. */
  reset(): void
  close(): void
}

interface Stop extends Verdict {
  readonly position: Position
  readonly resumed: Position | null
  readonly lifted: boolean
}

const SCHEMA = `
  PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000;
  CREATE TABLE IF NOT EXISTS stopped (tab TEXT PRIMARY KEY, position TEXT NOT NULL, found TEXT NOT NULL,
    remedy TEXT NOT NULL, resumed TEXT, lifted INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;`

/** `told` is what the newest markers name: it counts where the state directory knows nothing. DISK_FULL, SINK. */
export function openStops(
  directory: string,
  told: readonly { readonly table: string; readonly position: Position }[] = [],
): Stops {
  const file = join(directory, 'stopped.sqlite')
  const db = guarded(file, () => new DatabaseSync(file))
  guarded(file, () => db.exec(SCHEMA))
  const put = db.prepare('INSERT OR REPLACE INTO stopped VALUES (?, ?, ?, ?, ?, ?)')
  const stops = new Map<string, Stop>()
  for (const row of db.prepare('SELECT * FROM stopped').all() as unknown as (Stop & { tab: string })[])
    stops.set(row.tab, { ...row, lifted: Boolean(row.lifted) })

  function keep(table: string, stop: Stop): void {
    guarded(file, () => put.run(table, stop.position, stop.found, stop.remedy, stop.resumed, stop.lifted ? 1 : 0))
    stops.set(table, stop)
  }

  function change(table: string, part: Partial<Stop>): void {
    const stop = stops.get(table)
    if (stop !== undefined) keep(table, { ...stop, ...part })
  }

  /** Neither lifted nor about to be. */
  function isInForce({ lifted, resumed }: Stop): boolean {
    return !lifted && resumed === null
  }

  function stopped(table: string): Stop | null {
    const stop = stops.get(table)
    return stop === undefined || stop.lifted ? null : stop
  }

  for (const { table, position } of told) {
    if (!stops.has(table)) keep(table, { position, resumed: null, lifted: false, ...again(table) })
  }

  return {
    names: () => [...stops.keys()].filter((table) => stopped(table) !== null).toSorted(),
    verdict: (table) => {
      const stop = stopped(table)
      return stop === null ? null : { found: stop.found, remedy: stop.remedy }
    },
    stop: (table, position, { found, remedy }) => {
      for (const each of [table, ...childrenOf(table)]) {
        const before = stops.get(each)
        if (before !== undefined && (position <= before.position || isInForce(before))) continue
        keep(each, { position, found, remedy, resumed: null, lifted: false })
      }
    },
    leavesOut: (table, position) => {
      const stop = stops.get(table)
      if (stop === undefined || position <= stop.position) return false
      return stop.resumed === null || position <= stop.resumed
    },
    resume: (table, position) => change(table, { resumed: position }),
    lift: (table) => change(table, { lifted: true }),
    reset: () => {
      guarded(file, () => db.exec('DELETE FROM stopped'))
      stops.clear()
    },
    close: () => db.close(),
  }
}

function again(table: string): Verdict {
  return {
    found: `${table} was stopped before the state directory was lost`,
    remedy: `\`incidents repair --table ${table}\` reads it again.`,
  }
}

/** Tables that reach their incident through this one, however far. */
export function childrenOf(table: string): string[] {
  return [...ROUTES].filter(([, { parent }]) => parent === table).flatMap(([child]) => [child, ...childrenOf(child)])
}
