/** What one transaction of the load is given, and what the load knows of the database that it runs on. */
import { FIRST_COPY } from './nomis-rows.ts'
import type { Questionnaires } from './questionnaires.ts'
import type { Random } from './random.ts'
import type { Writer } from './writer.ts'

export interface Pattern {
  readonly name: string
  /** How often, relative to the others. */
  readonly weight: number
  /** Writes inside an open transaction; false, having written nothing, when there is no row that it could change. */
  run(turn: Turn): Promise<boolean>
}

export interface Turn {
  readonly write: Writer
  readonly random: Random
  readonly world: World
  /** Milliseconds of the wall time. */
  readonly now: number
  /** The wall time. */
  readonly at: string
  /** Who does it. */
  readonly by: string
  /** Unlike in any other turn: what a new incident is made from. */
  readonly number: number
}

/** The rows that the load may change: the newest that were there, and what it adds itself. */
export interface World {
  /** Ids of reports, oldest first. */
  readonly reports: string[]
  /** Numbers of legacy cases that are no copies, oldest first. */
  readonly cases: number[]
  /** Ids of reports that changed and whose copies in NOMIS did not yet. */
  readonly changed: string[]
  /** Numbers of reports that were deleted and whose copies may be left. */
  readonly orphans: number[]
  readonly questionnaires: Questionnaires
  /** The highest number that a legacy case ever had. */
  lastCase: number
}

const REMEMBERED = 5_000

export async function readWorld(write: Writer, questionnaires: Questionnaires): Promise<World> {
  const reports = await write.read<{ id: string }>(
    'SELECT id FROM public.report ORDER BY length(report_reference) DESC, report_reference DESC, id LIMIT $1',
    [REMEMBERED],
  )
  const cases = await write.read<{ id: string }>(
    'SELECT incident_case_id AS id FROM nomis.incident_cases WHERE incident_case_id < $1 ORDER BY 1 DESC LIMIT $2',
    [FIRST_COPY, REMEMBERED],
  )
  return {
    reports: reports.map((row) => row.id).toReversed(),
    cases: cases.map((row) => Number(row.id)).toReversed(),
    changed: [],
    orphans: [],
    questionnaires,
    lastCase: await readLastCase(write),
  }
}

/** Numbers from here on are left alone, so that new ones never grow into those of copies. */
export const LAST_LEGACY = 9_000_000

/** The highest number of a legacy case or of a report that was taken over from one. */
export async function readLastCase(write: Writer): Promise<number> {
  const [row] = await write.read<{ last: string }>(
    `SELECT greatest(240000,
        (SELECT max(incident_case_id) FROM nomis.incident_cases WHERE incident_case_id < $1),
        (SELECT max(CASE WHEN report_reference ~ '^([0-9]{1,6}|[1-8][0-9]{6})$' THEN report_reference::bigint END)
           FROM public.report)) AS last`,
    [LAST_LEGACY],
  )
  return Number(row!.last)
}

const RECENT = 200

/** One of them, seven times in ten a recent one; undefined when there is none. */
export function pickRecent<T>(random: Random, items: readonly T[]): T | undefined {
  if (items.length === 0) return undefined
  const from = random.chance(0.7) ? Math.max(0, items.length - RECENT) : 0
  return items[random.int(from, items.length - 1)]
}

export function forget<T>(items: T[], item: T): void {
  const index = items.indexOf(item)
  if (index >= 0) items.splice(index, 1)
}
