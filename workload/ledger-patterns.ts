/**
 * The transactions of the ledger: each a list of statements on incidents that one writer alone touches. What a
 * transaction does depends on its chance and on the rows that are there, never on time, so that a seed repeats it.
 */
import {
  answers,
  AT,
  legacyCase,
  newest,
  pick,
  pickTwo,
  prune,
  report,
  responsesOf,
  text,
  type LedgerTurn,
} from './ledger-rows.ts'

export interface LedgerPattern {
  readonly name: string
  readonly weight: number
  /** The statements between BEGIN and the end. */
  statements(turn: LedgerTurn): readonly string[]
  /** Absent: COMMIT. */
  readonly ends?: 'ROLLBACK'
}

/** What every row carries that was taken back: no reader may ever see it. */
export const ROLLED_BACK = 'WRITTEN AND TAKEN BACK'

/** More than the server holds back: such a transaction is streamed before its end. */
const STREAMED_ROWS = 500
/** With 4 KiB a row more than capture keeps in memory. */
const SPILLED_ROWS = 4_500

/** A streamed transaction: much that stays, much that is taken back at a savepoint, and time for others in between. */
function streamed(turn: LedgerTurn, rows: number, bytes: number): string[] {
  const incident = pick(turn)
  const { firstKey } = turn
  return [
    ...report(incident, turn),
    answers(incident, { first: firstKey, count: rows, bytes }),
    'SAVEPOINT half',
    answers(incident, { first: firstKey + rows, count: Math.ceil(rows / 4), bytes, says: ROLLED_BACK }),
    'SELECT pg_sleep(0.02)',
    `UPDATE public.report SET title = '${ROLLED_BACK}' WHERE id = '${incident.report}'`,
    'ROLLBACK TO half',
    `UPDATE public.response SET response = 'NO' WHERE id BETWEEN ${firstKey} AND ${firstKey + 20}`,
    'SELECT pg_sleep(0.02)',
    `UPDATE public.report SET title = 'Ledger ${firstKey}' WHERE id = '${incident.report}'`,
  ]
}

export const LEDGER_PATTERNS: readonly LedgerPattern[] = [
  {
    name: 'insert',
    weight: 6,
    statements: (turn) => {
      const incident = pick(turn)
      return [...report(incident, turn), answers(incident, { first: turn.firstKey, count: 1 })]
    },
  },
  {
    name: 'insert-many',
    weight: 6,
    statements: (turn) => {
      const incident = pick(turn)
      return [...report(incident, turn), answers(incident, { first: turn.firstKey, count: turn.random.int(5, 40) })]
    },
  },
  {
    name: 'update-toast-unchanged',
    weight: 6,
    statements: (turn) => {
      const incident = pick(turn)
      return [
        ...report(incident, turn),
        `UPDATE public.report SET status = 'SUBMITTED', title = 'Ledger ${turn.firstKey}' WHERE id = '${incident.report}'`,
      ]
    },
  },
  {
    name: 'update-toast',
    weight: 3,
    statements: (turn) => {
      const incident = pick(turn)
      return [
        ...report(incident, turn),
        `UPDATE public.report SET description = ${text(9_000, `'${turn.firstKey}'`)} WHERE id = '${incident.report}'`,
      ]
    },
  },
  {
    name: 'update-many',
    weight: 5,
    statements: (turn) => {
      const incident = pick(turn)
      return [
        ...report(incident, turn),
        `UPDATE public.response SET response = 'NO', label = 'L${turn.firstKey}' WHERE ${responsesOf(incident)}`,
        `UPDATE public.report SET title = title WHERE id = '${incident.report}'`,
      ]
    },
  },
  {
    name: 'key-change',
    weight: 5,
    statements: (turn) => {
      const incident = pick(turn)
      return [
        ...report(incident, turn),
        answers(incident, { first: turn.firstKey, count: 2 }),
        `UPDATE public.response SET id = -id, label = 'L${turn.firstKey}' WHERE id IN ${newest(incident, 4)}`,
      ]
    },
  },
  {
    name: 'key-change-legacy',
    weight: 4,
    statements: (turn) => {
      const incident = pick(turn)
      const party = turn.random.int(1, 3)
      const its = `incident_case_id = ${incident.caseId} AND party_seq`
      return [
        ...legacyCase(incident),
        `DELETE FROM nomis.incident_case_parties WHERE ${its} = ${-party}`,
        `UPDATE nomis.incident_case_parties SET party_seq = -party_seq WHERE ${its} = ${party}`,
        `UPDATE nomis.incident_cases SET incident_status = 'INAN' WHERE incident_case_id = ${incident.caseId}`,
      ]
    },
  },
  {
    name: 'move',
    weight: 4,
    statements: (turn) => {
      const [from, to] = pickTwo(turn)
      return [
        ...report(from, turn),
        ...report(to, turn),
        answers(from, { first: turn.firstKey, count: 3 }),
        `UPDATE public.response SET question_id = ${to.question} WHERE id IN ${newest(from, 2)}`,
      ]
    },
  },
  {
    name: 'move-legacy',
    weight: 3,
    statements: (turn) => {
      const [from, to] = pickTwo(turn)
      return [
        ...legacyCase(from),
        ...legacyCase(to),
        `UPDATE nomis.incident_case_parties SET incident_case_id = ${to.caseId}, party_seq = ${turn.firstKey}
         WHERE incident_case_id = ${from.caseId} AND party_seq = 3`,
        `DELETE FROM nomis.incident_case_parties WHERE incident_case_id = ${to.caseId} AND party_seq BETWEEN 4 AND ${turn.firstKey - 1}`,
      ]
    },
  },
  {
    name: 'delete-with-children',
    weight: 3,
    statements: (turn) => [`DELETE FROM public.report WHERE id = '${pick(turn).report}'`],
  },
  {
    name: 'delete-legacy',
    weight: 2,
    statements: (turn) => {
      const { caseId } = pick(turn)
      return [
        `DELETE FROM nomis.incident_case_parties WHERE incident_case_id = ${caseId}`,
        `DELETE FROM nomis.incident_cases WHERE incident_case_id = ${caseId}`,
      ]
    },
  },
  {
    name: 'delete-and-insert',
    weight: 4,
    statements: (turn) => {
      const incident = pick(turn)
      const again = answers(incident, { first: turn.firstKey, count: 2 })
      return [
        ...report(incident, turn),
        again,
        `DELETE FROM public.response WHERE id BETWEEN ${turn.firstKey} AND ${turn.firstKey + 1}`,
        again,
      ]
    },
  },
  {
    name: 'history',
    weight: 3,
    statements: (turn) => {
      const incident = pick(turn)
      const { firstKey } = turn
      return [
        ...report(incident, turn),
        `DELETE FROM public.history WHERE report_id = '${incident.report}'`,
        `INSERT INTO public.history VALUES (${firstKey}, '${incident.report}', 'FIRE_1', ${AT}, 'LEDGER')`,
        `INSERT INTO public.historical_question SELECT ${firstKey} + n, ${firstKey}, n, 'Q' || n, 'Question', null, 'Q'
           FROM generate_series(0, 2) n`,
        `INSERT INTO public.historical_response (id, historical_question_id, sequence, response, recorded_at, recorded_by,
           code, label) SELECT ${firstKey} + n, ${firstKey} + n % 3, n, 'YES', ${AT}, 'LEDGER', 'C', 'L'
           FROM generate_series(0, 8) n`,
      ]
    },
  },
  {
    name: 'both-models',
    weight: 4,
    statements: (turn) => {
      const [a, b] = pickTwo(turn)
      return [
        ...legacyCase(a),
        ...report(b, turn),
        `INSERT INTO public.status_history VALUES (${turn.firstKey}, '${b.report}', 'DRAFT', ${AT}, 'LEDGER')`,
        `UPDATE nomis.incident_cases SET incident_title = 'Ledger ${turn.firstKey}' WHERE incident_case_id = ${a.caseId}`,
        `UPDATE public.report SET status = 'CLOSED' WHERE id = '${b.report}'`,
        `DELETE FROM public.status_history WHERE report_id = '${b.report}' AND id < ${turn.firstKey}`,
      ]
    },
  },
  {
    name: 'savepoints',
    weight: 5,
    statements: (turn) => {
      const incident = pick(turn)
      const { firstKey: first } = turn
      return [
        ...report(incident, turn),
        'SAVEPOINT a',
        answers(incident, { first, count: 3, says: ROLLED_BACK }),
        'ROLLBACK TO a',
        answers(incident, { first: first + 10, count: 2 }),
        'SAVEPOINT b',
        answers(incident, { first: first + 20, count: 2 }),
        'SAVEPOINT c',
        `UPDATE public.response SET response = '${ROLLED_BACK}' WHERE id BETWEEN ${first + 10} AND ${first + 21}`,
        'SAVEPOINT d',
        `DELETE FROM public.response WHERE id = ${first + 20}`,
        'RELEASE d',
        'ROLLBACK TO c',
        'RELEASE b',
        `UPDATE public.response SET label = 'kept' WHERE id = ${first + 21}`,
      ]
    },
  },
  {
    name: 'rollback',
    weight: 4,
    ends: 'ROLLBACK',
    statements: (turn) => {
      const incident = pick(turn)
      return [
        ...report(incident, turn),
        answers(incident, { first: turn.firstKey, count: 5, says: ROLLED_BACK }),
        `UPDATE public.report SET title = '${ROLLED_BACK}' WHERE id = '${incident.report}'`,
      ]
    },
  },
  { name: 'streamed', weight: 2, statements: (turn) => streamed(turn, STREAMED_ROWS, 320) },
  {
    name: 'streamed-rollback',
    weight: 1,
    ends: 'ROLLBACK',
    statements: (turn) => {
      const incident = pick(turn)
      return [
        ...report(incident, turn),
        answers(incident, { first: turn.firstKey, count: STREAMED_ROWS, bytes: 320, says: ROLLED_BACK }),
        'SELECT pg_sleep(0.02)',
        `UPDATE public.response SET response = '${ROLLED_BACK}' WHERE ${responsesOf(incident)}`,
      ]
    },
  },
  { name: 'spilled', weight: 0.04, statements: (turn) => streamed(turn, SPILLED_ROWS, 4_096) },
  { name: 'prune', weight: 4, statements: (turn) => [prune(pick(turn))] },
]
