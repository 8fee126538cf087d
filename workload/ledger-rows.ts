/** The rows of the ledger: incidents of both models, and the statements that make and find theirs. */
import type { Random } from './random.ts'

export interface LedgerTurn {
  readonly random: Random
  readonly writer: number
  /** The first of the row numbers that are this transaction's alone: KEYS_A_TURN of them. */
  readonly firstKey: number
}

export const KEYS_A_TURN = 6_000

const SLOTS = 6
const QUESTIONS = 3

interface Incident {
  readonly report: string
  readonly reference: string
  /** The first of its questions. */
  readonly question: number
  readonly caseId: number
}

function incidentOf(writer: number, slot: number): Incident {
  const number = writer * 100 + slot
  return {
    report: `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`,
    reference: String(10_900_000 + number),
    question: 1 + number * 10,
    caseId: 900_000 + number,
  }
}

export function pick({ random, writer }: LedgerTurn): Incident {
  return incidentOf(writer, random.int(0, SLOTS - 1))
}

export function pickTwo({ random, writer }: LedgerTurn): [Incident, Incident] {
  const slots = Array.from({ length: SLOTS }, (_, slot) => slot)
  const [a, b] = random.sample(slots, 2)
  return random.chance(0.5)
    ? [incidentOf(writer, a!), incidentOf(writer, b!)]
    : [incidentOf(writer, b!), incidentOf(writer, a!)]
}

/** About so many bytes that do not compress, as an expression. */
export function text(bytes: number, salt: string): string {
  return `(SELECT string_agg(md5(${salt} || '/' || g), '') FROM generate_series(1, ${Math.ceil(bytes / 32)}) g)`
}

export const AT = `timestamp '2026-03-01 09:00:00.123456'`

/** The report with its questions, made where it is missing; its description lies outside the row. */
export function report({ report: id, reference, question }: Incident, turn: LedgerTurn): string[] {
  return [
    `INSERT INTO public.report (id, report_reference, title, description, location, type, status,
       incident_date_and_time, reported_at, reported_by, created_at, modified_by, modified_at)
     VALUES ('${id}', '${reference}', 'Ledger', ${text(6_000, `'${turn.firstKey}'`)}, 'LEI', 'FIRE_1', 'DRAFT',
       ${AT}, ${AT}, 'LEDGER', ${AT}, 'LEDGER', ${AT})
     ON CONFLICT DO NOTHING`,
    `INSERT INTO public.question (id, report_id, sequence, code, question, label)
     SELECT ${question} + n, '${id}', n, 'Q' || n, 'Question ' || n, 'Q' FROM generate_series(0, ${QUESTIONS - 1}) n
     ON CONFLICT DO NOTHING`,
  ]
}

export function legacyCase({ caseId }: Incident): string[] {
  return [
    `INSERT INTO nomis.incident_cases (incident_case_id, reported_staff_id, incident_date, incident_time, incident_status,
       incident_details, report_date, report_time, agy_loc_id, incident_type, create_datetime)
     VALUES (${caseId}, 7, ${AT}, ${AT}, 'AWAN', ${text(3_200, `'${caseId}'`)}, ${AT}, ${AT}, 'LEI', 'FIRE', ${AT})
     ON CONFLICT DO NOTHING`,
    `INSERT INTO nomis.incident_case_parties (incident_case_id, party_seq, participation_role, staff_id, create_datetime)
     SELECT ${caseId}, n, 'VICT', n, ${AT} FROM generate_series(1, 3) n ON CONFLICT DO NOTHING`,
  ]
}

interface Answers {
  readonly first: number
  readonly count: number
  readonly bytes?: number
  readonly says?: string
}

export function answers({ question }: Incident, { first, count, bytes = 64, says = 'YES' }: Answers): string {
  return `INSERT INTO public.response (id, question_id, sequence, response, additional_information, recorded_at, recorded_by,
            code, label)
          SELECT ${first} + n, ${question} + n % ${QUESTIONS}, n, '${says}', ${text(bytes, `(${first} + n)`)},
            ${AT} + n * interval '1 second', 'LEDGER', 'C' || n % 7, 'L'
          FROM generate_series(0, ${count - 1}) n`
}

export function responsesOf({ question }: Incident): string {
  return `question_id BETWEEN ${question} AND ${question + QUESTIONS - 1}`
}

export function newest(incident: Incident, count: number): string {
  return `(SELECT id FROM public.response WHERE ${responsesOf(incident)} ORDER BY abs(id) DESC LIMIT ${count})`
}

export function prune(incident: Incident): string {
  return `DELETE FROM public.response WHERE ${responsesOf(incident)} AND id NOT IN ${newest(incident, 20)}`
}
