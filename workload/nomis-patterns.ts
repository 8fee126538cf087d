/** How the legacy tables change: NOMIS itself case by case, the migration's upserts, and the copies of reports. */
import { COPIED_STATUSES, NOMIS_STATUSES, nomisCode, TYPES } from './codes.ts'
import { readReport } from './dps-read.ts'
import { addendum, answerQuestions, buildIncident, comment, prisonerPart, type Incident } from './incidents.ts'
import { insertCases, upsertCase } from './nomis.ts'
import {
  commentText,
  detailsEntry,
  FIRST_COPY,
  partyRows,
  questionRows,
  responseRows,
  type NewCase,
} from './nomis-rows.ts'
import { forget, LAST_LEGACY, pickRecent, type Pattern, type Turn } from './patterns.ts'
import { bookingId, prisoner, staffId } from './people.ts'
import { sentences } from './texts.ts'
import { seconds } from './time.ts'

export const NOMIS_PATTERNS: readonly Pattern[] = [
  { name: 'create-case', weight: 8, run: createCase },
  { name: 'copy-report', weight: 14, run: copyReport },
  { name: 'upsert-case', weight: 4, run: onCase(upsertWhole) },
  { name: 'case-status', weight: 5, run: onCase(changeStatus) },
  { name: 'case-details', weight: 3, run: onCase(appendDetails) },
  { name: 'case-parties', weight: 5, run: onCase(changeParties) },
  { name: 'case-answers', weight: 5, run: onCase(changeAnswers) },
  { name: 'case-requirement', weight: 3, run: onCase(addRequirement) },
  { name: 'case-type', weight: 2, run: onCase(changeType) },
  { name: 'merge-offender', weight: 1, run: onCase(mergeOffender) },
  { name: 'delete-case', weight: 2, run: onCase(deleteCase) },
  { name: 'delete-copy', weight: 1, run: deleteCopy },
]

interface Case {
  readonly id: number
  readonly type: string
}

/** Runs on a legacy case that exists and is locked; one that others deleted is forgotten. */
function onCase(run: (turn: Turn, each: Case) => Promise<boolean>): Pattern['run'] {
  return async (turn) => {
    const id = pickRecent(turn.random, turn.world.cases)
    if (id === undefined) return false
    const [found] = await turn.write.read<{ type: string }>(
      'SELECT incident_type AS type FROM nomis.incident_cases WHERE incident_case_id = $1 FOR UPDATE',
      [id],
    )
    if (found !== undefined) return run(turn, { id, type: found.type })
    forget(turn.world.cases, id)
    return false
  }
}

export async function createCase({ write, random, world, now, number }: Turn): Promise<boolean> {
  const [newest] = await write.read<{ id: string | null }>(
    'SELECT max(incident_case_id) AS id FROM nomis.incident_cases WHERE incident_case_id < $1',
    [LAST_LEGACY],
  )
  const id = Math.max(world.lastCase, Number(newest!.id)) + 1
  world.lastCase = id
  const each = { id, incident: buildIncident(random, number, now), status: random.pick(NOMIS_STATUSES) }
  await insertCases(write, world.questionnaires, [each])
  world.cases.push(id)
  return true
}

/** A report as the write-back makes it in NOMIS, under its own number; some statuses are not written back. */
async function copyReport({ write, random, world }: Turn): Promise<boolean> {
  for (let tries = 0; tries < 5; tries++) {
    const id = world.changed.pop() ?? pickRecent(random, world.reports)
    const report = id === undefined ? null : await readReport(write, id)
    const status = report === null ? undefined : COPIED_STATUSES[report.status]
    const number = Number(report?.reference)
    if (report === null || status === undefined || !hasDates(report)) continue
    if (!(number >= FIRST_COPY && number < 10_000_000_000)) continue // not a number that NOMIS takes
    await upsertCase(write, world.questionnaires, { id: number, incident: report, status })
    return true
  }
  return false
}

/** False for a report of somebody else's with times that NOMIS cannot hold: infinite ones, and far ones. */
function hasDates({ occurredAt, reportedAt, createdAt, modifiedAt }: Incident): boolean {
  return [occurredAt, reportedAt, createdAt, modifiedAt].every((time) => /^\d{4}-\d\d-\d\dT[\d:.]+$/.test(time))
}

/** The whole case again, with whatever has changed in NOMIS since. */
async function upsertWhole({ write, random, world, now, number }: Turn, { id }: Case): Promise<boolean> {
  const each = { id, incident: buildIncident(random, number, now), status: random.pick(NOMIS_STATUSES) }
  await upsertCase(write, world.questionnaires, each)
  return true
}

async function changeStatus(turn: Turn, { id }: Case): Promise<boolean> {
  await touch(turn, id, 'incident_status = $4', turn.random.pick(NOMIS_STATUSES))
  return true
}

async function appendDetails(turn: Turn, { id }: Case): Promise<boolean> {
  const entry = detailsEntry({ ...addendum(turn.random, turn.at), text: sentences(turn.random, 1) })
  await touch(turn, id, `incident_details = left(coalesce(incident_details, '') || $4, 4000)`, entry)
  return true
}

async function changeParties(turn: Turn, { id }: Case): Promise<boolean> {
  const { write, random } = turn
  const parties = await write.read<{ seq: number; staff: boolean }>(
    `SELECT party_seq AS seq, staff_id IS NOT NULL AS staff
       FROM nomis.incident_case_parties WHERE incident_case_id = $1 ORDER BY 1`,
    [id],
  )
  const party = parties.length > 0 && random.chance(0.5) ? random.pick(parties) : null
  if (party === null) await addParties(turn, id, (parties.at(-1)?.seq ?? 0) + 1)
  else if (random.chance(0.3)) {
    await write.write('DELETE FROM nomis.incident_case_parties WHERE incident_case_id = $1 AND party_seq = $2', [
      id,
      party.seq,
    ])
  } else {
    const { outcome } = prisonerPart(random)
    await write.write(
      `UPDATE nomis.incident_case_parties SET comment_text = $3, outcome_code = $4, modify_datetime = $5, modify_user_id = $6
        WHERE incident_case_id = $1 AND party_seq = $2`,
      [
        id,
        party.seq,
        commentText(comment(random)),
        party.staff || outcome === null ? null : nomisCode.outcome(outcome),
        turn.at,
        turn.by,
      ],
    )
  }
  await touch(turn, id)
  return true
}

async function addParties(turn: Turn, id: number, first: number): Promise<void> {
  const incident = freshIncident(turn)
  const [one] = incident.staff
  const people =
    one !== undefined && turn.random.chance(0.4)
      ? { prisoners: [], staff: [one] }
      : { prisoners: [prisonerPart(turn.random)], staff: [] }
  const rows = partyRows({ id, incident: { ...incident, ...people }, status: '' })
  await turn.write.insert(
    'nomis.incident_case_parties',
    rows.map((row, i) => ({ ...row, party_seq: first + i })),
  )
}

/** One answer is corrected in place, one is taken out, one question more is answered. */
async function changeAnswers(turn: Turn, { id }: Case): Promise<boolean> {
  const { write, random, at, by } = turn
  const answers = await write.read<{ question: number; response: number }>(
    `SELECT question_seq AS question, response_seq AS response
       FROM nomis.incident_case_responses WHERE incident_case_id = $1 ORDER BY 1, 2`,
    [id],
  )
  if (answers.length === 0) return false
  const key = 'incident_case_id = $1 AND question_seq = $2 AND response_seq = $3'
  const corrected = random.pick(answers)
  await write.write(
    `UPDATE nomis.incident_case_responses
        SET response_comment_text = $4, record_staff_id = $5, recorded_by = $6, modify_datetime = $7, modify_user_id = $6
      WHERE ${key}`,
    [id, corrected.question, corrected.response, sentences(random, 1), staffId(by), by, at],
  )
  const removed = random.pick(answers)
  if (removed !== corrected && random.chance(0.5)) {
    await write.write(`DELETE FROM nomis.incident_case_responses WHERE ${key}`, [
      id,
      removed.question,
      removed.response,
    ])
  }
  if (random.chance(0.5)) {
    await write.write(
      `INSERT INTO nomis.incident_case_responses (incident_case_id, question_seq, response_seq, response_comment_text,
          record_staff_id, recorded_by, create_datetime, create_user_id)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $6)`,
      [
        id,
        corrected.question,
        Math.max(...answers.map((answer) => answer.response)) + 1,
        sentences(random, 1),
        staffId(by),
        by,
        at,
      ],
    )
  }
  await touch(turn, id)
  return true
}

async function addRequirement(turn: Turn, { id }: Case): Promise<boolean> {
  const { write, random, at, by } = turn
  const text = commentText(random.chance(0.1) ? null : sentences(random, 1))
  await write.write(
    `INSERT INTO nomis.incident_case_requirements (incident_case_id, requirement_seq, record_staff_id, record_date,
        comment_text, agy_loc_id, recorded_by, create_datetime, create_user_id)
     SELECT $1::bigint, coalesce(max(requirement_seq), 0) + 1, $2::bigint, $3::timestamp, $4, 'NOU', $5, $6::timestamp, $5
       FROM nomis.incident_case_requirements WHERE incident_case_id = $1`,
    [id, staffId(by), seconds(at), text, by, at],
  )
  await touch(turn, id, `incident_status = 'INREQ'`)
  return true
}

/** The questions and answers so far go to the history tables, and the case begins anew under another type. */
async function changeType(turn: Turn, { id, type }: Case): Promise<boolean> {
  const { write, random, world, at, by } = turn
  const [dps, nomis] = random.pick(TYPES.filter((pair) => pair[1] !== type))
  const questionnaire = world.questionnaires.get(nomis)
  const previous = world.questionnaires.get(type)
  if (questionnaire === undefined || previous === undefined) return false
  const [history] = await write.reserve('nomis.incident_questionnaire_id', 1)
  await write.write(
    `INSERT INTO nomis.incident_questionnaire_hty (incident_questionnaire_id, incident_case_id, questionnaire_id,
        change_date, change_staff_id, type, staff_username, create_datetime, create_user_id)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $7)`,
    [history, id, previous, seconds(at), staffId(by), type, by, at],
  )
  await write.write(
    `INSERT INTO nomis.incident_que_question_hty (incident_questionnaire_id, question_seq, questionnaire_que_id, question,
        create_datetime, create_user_id)
     SELECT $2, question_seq, questionnaire_que_id, question, $3, $4
       FROM nomis.incident_case_questions JOIN nomis.questionnaire_questions USING (questionnaire_que_id)
      WHERE incident_case_id = $1 ORDER BY question_seq`,
    [id, history, at, by],
  )
  await write.write(
    `INSERT INTO nomis.incident_que_response_hty (incident_questionnaire_id, question_seq, response_seq, response_date,
        response_comment_text, record_staff_id, questionnaire_ans_id, answer, recorded_by, create_datetime, create_user_id)
     SELECT $2, r.question_seq, response_seq, response_date, response_comment_text, record_staff_id,
            a.questionnaire_ans_id, answer, recorded_by, $3, $4
       FROM nomis.incident_case_responses r
       JOIN nomis.incident_que_question_hty q ON q.incident_questionnaire_id = $2 AND q.question_seq = r.question_seq
       LEFT JOIN nomis.questionnaire_answers a USING (questionnaire_ans_id)
      WHERE incident_case_id = $1 ORDER BY response_seq`,
    [id, history, at, by],
  )
  await write.write('DELETE FROM nomis.incident_case_responses WHERE incident_case_id = $1', [id])
  await write.write('DELETE FROM nomis.incident_case_questions WHERE incident_case_id = $1', [id])
  await touch(turn, id, 'incident_type = $4, questionnaire_id = $5', nomis, questionnaire)
  const incident = { ...freshIncident(turn), type: dps, questions: answerQuestions(random, dps, at, by) }
  const each: NewCase = { id, incident, status: '' }
  await write.insert('nomis.incident_case_questions', questionRows(each))
  await write.insert('nomis.incident_case_responses', responseRows(each))
  return true
}

async function mergeOffender({ write, random, at, by }: Turn, { id }: Case): Promise<boolean> {
  const [party] = await write.read<{ number: string }>(
    `SELECT offender_no AS number FROM nomis.incident_case_parties
      WHERE incident_case_id = $1 AND offender_no IS NOT NULL ORDER BY party_seq LIMIT 1`,
    [id],
  )
  if (party === undefined) return false
  const into = prisoner(random)
  await write.write(
    `UPDATE nomis.incident_case_parties
        SET offender_no = $2, first_name = $3, last_name = $4, offender_book_id = $5, modify_datetime = $6, modify_user_id = $7
      WHERE offender_no = $1`,
    [party.number, into.number, into.firstName, into.lastName, bookingId(into.number), at, by],
  )
  return true
}

async function deleteCase({ write, world }: Turn, { id }: Case): Promise<boolean> {
  for (const sql of DELETES) await write.write(sql, [id])
  forget(world.cases, id)
  return true
}

/** The copy follows its report. */
async function deleteCopy({ write, world }: Turn): Promise<boolean> {
  for (let id = world.orphans.shift(); id !== undefined; id = world.orphans.shift()) {
    const before = write.changes
    for (const sql of DELETES) await write.write(sql, [id])
    if (write.changes > before) return true
  }
  return false
}

const HISTORY =
  'USING nomis.incident_questionnaire_hty h WHERE h.incident_questionnaire_id = d.incident_questionnaire_id AND h.incident_case_id = $1'
const DELETES = [
  `DELETE FROM nomis.incident_que_response_hty d ${HISTORY}`,
  `DELETE FROM nomis.incident_que_question_hty d ${HISTORY}`,
  ...[
    'incident_questionnaire_hty',
    'incident_case_responses',
    'incident_case_questions',
    'incident_case_parties',
    'incident_case_requirements',
    'incident_cases',
  ].map((table) => `DELETE FROM nomis.${table} WHERE incident_case_id = $1`),
]

/** Somebody to fill rows with: who and what is new in this turn. */
function freshIncident({ random, number, now, at, by }: Turn): Incident {
  const incident = buildIncident(random, number, now)
  return { ...incident, createdAt: at, modifiedAt: at, reportedBy: by, modifiedBy: by }
}

/** What every edit does to the case itself, with more columns from $4 on. */
async function touch({ write, at, by }: Turn, id: number, more = '', ...values: readonly unknown[]): Promise<void> {
  await write.write(
    `UPDATE nomis.incident_cases SET modify_datetime = $2, modify_user_id = $3, audit_timestamp = $2, audit_user_id = $3,
        audit_module_name = 'OIDINCRS'${more === '' ? '' : `, ${more}`} WHERE incident_case_id = $1`,
    [id, at, by, ...values],
  )
}
