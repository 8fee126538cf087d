/** What fills a database: reports of both models at once, then transaction after transaction. */
import type pg from 'pg'
import { COPIED_STATUSES, NOMIS_STATUSES, nomisCode } from './codes.ts'
import { insertReports, type NewReport } from './dps.ts'
import { createReport, DPS_PATTERNS } from './dps-patterns.ts'
import { buildIncident } from './incidents.ts'
import { insertCases } from './nomis.ts'
import type { NewCase } from './nomis-rows.ts'
import { createCase, NOMIS_PATTERNS } from './nomis-patterns.ts'
import { readLastCase, readWorld, type Turn } from './patterns.ts'
import { account } from './people.ts'
import { ensureQuestionnaires, type Questionnaires } from './questionnaires.ts'
import { random } from './random.ts'
import { FIRST_DAY, millis, MINUTE, wall } from './time.ts'
import { addUnknownCode } from './unknown-codes.ts'
import { writer, type Writer } from './writer.ts'

export interface Load {
  readonly transactions: number
  /** Row changes, as logical replication counts them. */
  readonly changes: number
}

export interface SeedOptions {
  readonly seed: number
  /** How many of each model: so many rows more in `report`, and so many legacy cases. */
  readonly reports: number
  /** How many rows get a code that no mapping knows; none unless given. */
  readonly unknownCodes?: number
  /** `yyyy-MM-dd`: everything seeded happened before it. */
  readonly firstDay?: string
}

const CHUNK = 250

/**
 * Adds reports of both models with all their children. One report in four was taken over from NOMIS under its case's
 * number; some of the others have their copies in NOMIS. The same options on the same database make the same rows.
 */
export async function seedReports(client: pg.ClientBase, options: SeedOptions): Promise<Load> {
  const { seed, reports, unknownCodes = 0, firstDay = FIRST_DAY } = options
  const write = writer(client)
  const before = millis(firstDay)
  const questionnaires = await ensureQuestionnaires(write)
  let transactions = write.changes > 0 ? 1 : 0
  const firstCase = (await readLastCase(write)) + 1
  for (let from = 0; from < reports; from += CHUNK) {
    const count = Math.min(CHUNK, reports - from)
    await write.transaction(() => seedChunk(write, { seed, from, count, before, firstCase, questionnaires }))
    transactions += 1
  }
  const world = await readWorld(write, questionnaires)
  for (let i = 0; i < unknownCodes; i++) {
    const turn = { ...turnAt({ seed, start: firstCase, index: i, now: before - MINUTE }), write, world }
    await write.transaction(() => addUnknownCode(turn, i))
    transactions += 1
  }
  return { transactions, changes: write.changes }
}

interface Chunk {
  readonly seed: number
  readonly from: number
  readonly count: number
  readonly before: number
  readonly firstCase: number
  readonly questionnaires: Questionnaires
}

async function seedChunk(write: Writer, chunk: Chunk): Promise<void> {
  const { seed, from, count, before, firstCase, questionnaires } = chunk
  const references = await write.reserve('public.report_sequence', count)
  const reports: NewReport[] = []
  const cases: NewCase[] = []
  for (let i = 0; i < count; i++) {
    const index = from + i
    const caseId = firstCase + index
    const chance = random(seed, 'report', caseId)
    const legacy = buildIncident(random(seed, 'case', caseId), index, before)
    cases.push({ id: caseId, incident: legacy, status: NOMIS_STATUSES[index % NOMIS_STATUSES.length]! })
    if (index % 4 === 3) {
      const questionnaireId = questionnaires.get(nomisCode.type(legacy.type)) ?? 0
      const modifiedIn = chance.chance(0.3) ? 'DPS' : 'NOMIS'
      const id = chance.uuid(millis(legacy.createdAt))
      const migrated = { questionnaireId, modifiedIn } as const
      reports.push({ id, reference: String(caseId), incident: legacy, migrated, original: null })
      continue
    }
    const incident = buildIncident(chance, index, before)
    const reference = references[i]!
    const original = incident.status === 'DUPLICATE' ? (reports.at(-1) ?? null) : null
    const id = chance.uuid(millis(incident.createdAt))
    reports.push({ id, reference: String(reference), incident, migrated: null, original })
    const status = COPIED_STATUSES[incident.status]
    if (status !== undefined && index % 5 < 2) cases.push({ id: reference, incident, status })
  }
  await insertReports(write, reports)
  await insertCases(write, questionnaires, cases)
}

export interface RunOptions {
  readonly seed: number
  /** How many; Infinity goes on until the signal. */
  readonly transactions: number
  /** At most so many a second. */
  readonly rate?: number
  /** Ends the run after the transaction that is open. */
  readonly signal?: AbortSignal
  /** So many of the transactions add a row with a code that no mapping knows; none unless given. */
  readonly unknownCodes?: number
  /** `yyyy-MM-dd`: where time begins, unless the newest report is later. */
  readonly firstDay?: string
  /** Called after each commit. */
  readonly onTransaction?: (transaction: Transaction) => void
}

export interface Transaction {
  /** From 0. */
  readonly index: number
  readonly pattern: string
  readonly changes: number
}

const PATTERNS = [...DPS_PATTERNS, ...NOMIS_PATTERNS]
const WEIGHTS = PATTERNS.map((pattern) => [pattern, pattern.weight] as const)

/**
 * Runs transactions as both systems make them, one after the other on one connection; four in ten write to NOMIS. The
 * same options on the same database make the same rows, as long as nobody else writes. Rejects with the first error
 * of the database, after its rollback.
 */
export async function runTransactions(pool: pg.Pool, options: RunOptions): Promise<Load> {
  const { seed, transactions, rate, signal, unknownCodes = 0, onTransaction } = options
  const client = await pool.connect()
  try {
    const write = writer(client)
    const world = await readWorld(write, await ensureQuestionnaires(write))
    const { start, now } = await readStart(write, options.firstDay ?? FIRST_DAY)
    const prepared = write.changes
    const begun = performance.now()
    let index = 0
    for (; index < transactions; index++) {
      if (rate !== undefined) await waitUntil(begun + (index * 1000) / rate, signal)
      if (signal?.aborted === true) break
      const turn = { ...turnAt({ seed, start, index, now: now + index * STEP }), write, world }
      const before = write.changes
      const pattern = await write.transaction(() => act(turn, index < unknownCodes ? index : null))
      onTransaction?.({ index, pattern, changes: write.changes - before })
    }
    return { transactions: index + (prepared > 0 ? 1 : 0), changes: write.changes }
  } finally {
    client.release()
  }
}

const STEP = 7 * MINUTE

/** The name of the pattern that ran: where the one that chance picks finds no row, a new report or case is made. */
async function act(turn: Turn, unknown: number | null): Promise<string> {
  if (unknown !== null) {
    await addUnknownCode(turn, unknown)
    return 'unknown-code'
  }
  const pattern = turn.random.weighted(WEIGHTS)
  if (await pattern.run(turn)) return pattern.name
  if (DPS_PATTERNS.includes(pattern)) {
    await createReport(turn)
    return 'create-report'
  }
  await createCase(turn)
  return 'create-case'
}

interface TurnOf {
  readonly seed: number
  /** Unlike in any other run on this database. */
  readonly start: number
  readonly index: number
  readonly now: number
}

function turnAt({ seed, start, index, now }: TurnOf): Omit<Turn, 'write' | 'world'> {
  const chance = random(seed, 'turn', start, index)
  return {
    random: chance,
    now,
    at: wall(now + chance.int(0, STEP - 1), chance.int(0, 999)),
    by: account(chance).username,
    number: start + index,
  }
}

/** Where this run begins: after the newest report, so that a second run does not repeat the first. */
async function readStart(write: Writer, firstDay: string): Promise<{ start: number; now: number }> {
  const [row] = await write.read<{ start: string; newest: string }>(
    `SELECT (SELECT last_value FROM public.report_sequence) + (SELECT count(*) FROM public.status_history) AS start,
            to_char(greatest($1::timestamp, (SELECT max(modified_at) FROM public.report
                                             WHERE modified_at < '3000-01-01')), 'YYYY-MM-DD"T"HH24:MI:SS.US') AS newest`,
    [firstDay],
  )
  return { start: Number(row!.start), now: millis(row!.newest) + STEP }
}

async function waitUntil(time: number, signal: AbortSignal | undefined): Promise<void> {
  const left = time - performance.now()
  if (left <= 0 || signal?.aborted === true) return
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, left)
    function done(): void {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    signal?.addEventListener('abort', done)
  })
}
