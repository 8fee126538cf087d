/** How the incident reporting service writes (rule dps.writes): each of its actions is one transaction. */
import { LOCATIONS, TRANSITIONS, TYPES } from './codes.ts'
import { prisonerRow, staffRow } from './dps.ts'
import { addendum, comment, prisonerPart, staffPart, title } from './incidents.ts'
import { forget, pickRecent, type Pattern, type Turn } from './patterns.ts'
import { prisoner } from './people.ts'
import { QUESTION_PATTERNS } from './question-patterns.ts'
import { questionSet } from './questions.ts'
import { nextSequence, onReport, touch, type Report } from './report-turn.ts'
import { longText, ODD_TEXTS, oddText, sentences } from './texts.ts'
import { CLOCK_CHANGES, HOUR, MINUTE, wall } from './time.ts'

export const DPS_PATTERNS: readonly Pattern[] = [
  { name: 'create-report', weight: 10, run: createReport },
  { name: 'add-people', weight: 8, run: onReport(addPeople) },
  { name: 'change-people', weight: 5, run: onReport(changePeople) },
  { name: 'amend-report', weight: 7, run: onReport(amendReport) },
  { name: 'change-status', weight: 10, run: onReport(changeStatus) },
  { name: 'mark-duplicate', weight: 1, run: onReport(markDuplicate) },
  { name: 'add-addendum', weight: 3, run: onReport(addAddendum) },
  { name: 'merge-prisoner', weight: 2, run: onReport(mergePrisoner) },
  { name: 'delete-report', weight: 2, run: onReport(deleteReport) },
  { name: 'fix-data', weight: 1, run: fixData },
  { name: 'mark-response', weight: 1, run: markResponse },
  ...QUESTION_PATTERNS,
]

export async function createReport({ write, random, world, now, at, by, number }: Turn): Promise<boolean> {
  const [reference] = await write.reserve('public.report_sequence', 1)
  const id = random.uuid(now)
  const type = random.pick(TYPES)[0]
  const location = random.pick(LOCATIONS)
  const odd = number % 10 === 3 ? oddText(random, ODD_TEXTS[Math.floor(number / 10) % ODD_TEXTS.length]!) : null
  const happened = now - random.int(10 * MINUTE, 30 * HOUR)
  await write.insert('public.report', [
    {
      id,
      report_reference: String(reference),
      title: title(type, [], location),
      description: odd ?? sentences(random, 2),
      location,
      type,
      source: 'DPS',
      status: 'DRAFT',
      incident_date_and_time:
        number % 40 === 9
          ? random.pick([...CLOCK_CHANGES.gap, ...CLOCK_CHANGES.overlap])
          : wall(happened - (happened % MINUTE)),
      reported_at: at,
      reported_by: by,
      created_at: at,
      modified_by: by,
      modified_at: at,
      modified_in: 'DPS',
      staff_involvement_done: false,
      prisoner_involvement_done: false,
    },
  ])
  await write.insert('public.status_history', [{ report_id: id, status: 'DRAFT', changed_at: at, changed_by: by }])
  world.reports.push(id)
  return true
}

async function addPeople(turn: Turn, { id }: Report): Promise<boolean> {
  const { write, random } = turn
  if (random.chance(0.65)) {
    const first = await nextSequence(turn, 'public.prisoner_involvement', id)
    const count = random.pick([1, 1, 1, 2])
    await write.insert(
      'public.prisoner_involvement',
      Array.from({ length: count }, (_, i) => prisonerRow(id, first + i, prisonerPart(random))),
    )
  } else {
    const first = await nextSequence(turn, 'public.staff_involvement', id)
    await write.insert('public.staff_involvement', [staffRow(id, first, staffPart(random))])
  }
  await touch(turn, id, 'staff_involvement_done = true, prisoner_involvement_done = true')
  return true
}

async function changePeople(turn: Turn, { id }: Report): Promise<boolean> {
  const { write, random } = turn
  const table = random.pick(['public.prisoner_involvement', 'public.staff_involvement'])
  const parts = await write.read<{ id: number }>(`SELECT id FROM ${table} WHERE report_id = $1 ORDER BY id`, [id])
  if (parts.length === 0) return false
  const part = random.pick(parts).id
  if (random.chance(0.3)) await write.write(`DELETE FROM ${table} WHERE id = $1`, [part])
  else if (table === 'public.staff_involvement') {
    const { role } = staffPart(random)
    await write.write(`UPDATE ${table} SET staff_role = $2, comment = $3 WHERE id = $1`, [part, role, comment(random)])
  } else {
    const { role, outcome } = prisonerPart(random)
    await write.write(`UPDATE ${table} SET prisoner_role = $2, outcome = $3, comment = $4 WHERE id = $1`, [
      part,
      role,
      outcome,
      comment(random),
    ])
  }
  await touch(turn, id)
  return true
}

async function amendReport(turn: Turn, { id, type, location }: Report): Promise<boolean> {
  const { write, random } = turn
  if (random.chance(0.5)) {
    const people = await write.read<{ number: string; firstName: string; lastName: string }>(
      `SELECT prisoner_number AS number, first_name AS "firstName", last_name AS "lastName"
         FROM public.prisoner_involvement WHERE report_id = $1 ORDER BY sequence, id`,
      [id],
    )
    await touch(turn, id, 'title = $4', title(type, people, location))
    return true
  }
  const text = random.weighted([
    [sentences(random, 3), 8],
    [oddText(random, random.pick(['unicode', 'quotes', 'whitespace', 'placeholder'])), 1],
    [longText(random), 1],
  ])
  await touch(turn, id, 'description = $4', text)
  return true
}

async function changeStatus(turn: Turn, { id, status, location }: Report): Promise<boolean> {
  const { random, write, at, by } = turn
  const allowed = TRANSITIONS.filter(({ from, action }) => from === status && action !== 'MARK_DUPLICATE')
  if (allowed.length === 0) return false
  const { to, action, userType } = random.pick(allowed)
  const explained = random.chance(0.6)
  await touch(turn, id, 'status = $4, last_user_action = $5', to, explained ? action : null)
  await write.insert('public.status_history', [{ report_id: id, status: to, changed_at: at, changed_by: by }])
  if (explained) {
    await insertCorrection(turn, id, { action, userType, location: userType === 'DATA_WARDEN' ? null : location })
  }
  return true
}

async function markDuplicate(turn: Turn, { id, reference }: Report): Promise<boolean> {
  const { random, write, at, by, world } = turn
  const original = pickRecent(random, world.reports)
  if (original === undefined || original === id) return false
  const [found] = await write.read<{ reference: string }>(
    'SELECT report_reference AS reference FROM public.report WHERE id = $1 FOR KEY SHARE',
    [original],
  )
  if (found === undefined || found.reference === reference) return false
  await touch(
    turn,
    id,
    `status = 'DUPLICATE', last_user_action = 'MARK_DUPLICATE', duplicated_report_id = $4`,
    original,
  )
  await write.insert('public.status_history', [{ report_id: id, status: 'DUPLICATE', changed_at: at, changed_by: by }])
  const correction = { action: 'MARK_DUPLICATE', userType: 'DATA_WARDEN', location: null, original: found.reference }
  await insertCorrection(turn, id, correction)
  return true
}

async function addAddendum(turn: Turn, { id }: Report): Promise<boolean> {
  const { random, write, at } = turn
  const { text, by } = addendum(random, at)
  await write.insert('public.description_addendum', [
    {
      report_id: id,
      sequence: await nextSequence(turn, 'public.description_addendum', id),
      text,
      created_at: at,
      created_by: by.username,
      first_name: by.firstName,
      last_name: by.lastName,
    },
  ])
  await touch(turn, id)
  return true
}

/** Rewrites a number across all reports; nothing but `modified_at` says so. */
async function mergePrisoner(turn: Turn, { id }: Report): Promise<boolean> {
  const { random, write, at } = turn
  const parts = await write.read<{ number: string }>(
    'SELECT prisoner_number AS number FROM public.prisoner_involvement WHERE report_id = $1 ORDER BY id',
    [id],
  )
  if (parts.length === 0) return false
  const gone = random.pick(parts).number
  const into = prisoner(random)
  const reports = await write.read<{ id: string }>(
    'SELECT DISTINCT report_id AS id FROM public.prisoner_involvement WHERE prisoner_number = $1 ORDER BY 1',
    [gone],
  )
  await write.write(
    'UPDATE public.prisoner_involvement SET prisoner_number = $2, first_name = $3, last_name = $4 WHERE prisoner_number = $1',
    [gone, into.number, into.firstName, into.lastName],
  )
  await write.write('UPDATE public.report SET modified_at = $2 WHERE id = ANY ($1)', [reports.map((row) => row.id), at])
  return true
}

async function deleteReport(turn: Turn, { id, reference }: Report): Promise<boolean> {
  const { write, world } = turn
  const [linked] = await write.read<{ count: number }>(
    'SELECT count(*)::int FROM public.report WHERE duplicated_report_id = $1',
    [id],
  )
  for (const sql of DELETES) await write.write(sql, [id])
  await write.write('DELETE FROM public.report WHERE id = $1', [id])
  write.count(linked!.count)
  forget(world.reports, id)
  if (/^\d{8,10}$/.test(reference)) world.orphans.push(Number(reference))
  return true
}

const DELETES = [
  'DELETE FROM public.response a USING public.question q WHERE q.id = a.question_id AND q.report_id = $1',
  'DELETE FROM public.question WHERE report_id = $1',
  `DELETE FROM public.historical_response a USING public.historical_question q, public.history h
    WHERE q.id = a.historical_question_id AND h.id = q.history_id AND h.report_id = $1`,
  `DELETE FROM public.historical_question q USING public.history h WHERE h.id = q.history_id AND h.report_id = $1`,
  ...[
    'history',
    'status_history',
    'correction_request',
    'description_addendum',
    'prisoner_involvement',
    'staff_involvement',
  ].map((table) => `DELETE FROM public.${table} WHERE report_id = $1`),
]

/** As migrations do: many rows at once, `modified_at` untouched. */
async function fixData({ write, random, world }: Turn): Promise<boolean> {
  if (random.chance(0.3)) {
    const from = random.int(0, 50)
    return (
      (await write.write('UPDATE public.constant_type SET sequence = sequence + 1 WHERE sequence >= $1', [from])) > 0
    )
  }
  const reports = Array.from({ length: 20 }, () => pickRecent(random, world.reports))
  const changed = await write.write(
    `UPDATE public.question SET label = rtrim(label, '?') || CASE WHEN label LIKE '%?' THEN '' ELSE '?' END
      WHERE report_id = ANY ($1)`,
    [reports.filter((id) => id !== undefined)],
  )
  return changed > 0
}

/** A marker comes, moves to another answer, or goes: its whole row is its key. */
async function markResponse({ write, random }: Turn): Promise<boolean> {
  const answers = questionSet(random.pick(TYPES)[0]).questions.flatMap((question) => question.answers)
  const code = String(random.pick(answers).id)
  const marker = random.pick(['SERIOUS_INJURY', 'SEXUAL_ASSAULT', 'HOSPITAL_ADMISSION', 'WEAPON_URINE'])
  const marked = await write.read<{ code: string }>(
    'SELECT response_code AS code FROM public.analytical_marker WHERE marker_type = $1 ORDER BY 1',
    [marker],
  )
  const taken = marked.some((each) => each.code === code)
  const old = marked[0]?.code
  if (taken || (old !== undefined && random.chance(0.2))) {
    await write.write('DELETE FROM public.analytical_marker WHERE response_code = $1 AND marker_type = $2', [
      taken ? code : old,
      marker,
    ])
  } else if (old !== undefined && random.chance(0.5)) {
    await write.write(
      'UPDATE public.analytical_marker SET response_code = $3 WHERE response_code = $1 AND marker_type = $2',
      [old, marker, code],
    )
  } else await write.insert('public.analytical_marker', [{ response_code: code, marker_type: marker }])
  return true
}

interface CorrectionOf {
  readonly action: string
  readonly userType: string
  readonly location: string | null
  readonly original?: string
}

async function insertCorrection(turn: Turn, report: string, correction: CorrectionOf): Promise<void> {
  const { write, random, at, by } = turn
  await write.insert('public.correction_request', [
    {
      report_id: report,
      description_of_change: sentences(random, 1),
      correction_requested_at: at,
      correction_requested_by: by,
      sequence: await nextSequence(turn, 'public.correction_request', report),
      location: correction.location,
      user_action: correction.action,
      original_report_reference: correction.original ?? null,
      user_type: correction.userType,
    },
  ])
}
