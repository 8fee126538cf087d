/** Builds incidents that no database has seen yet: one shape, from which dps.ts and nomis.ts make their rows. */
import { DPS_STATUSES, LOCATIONS, OUTCOMES, PRISONER_ROLES, STAFF_ROLES, TRANSITIONS, TYPES } from './codes.ts'
import { account, prisoner, staff, type Prisoner, type Staff } from './people.ts'
import { questionSet, type QuestionDefinition } from './questions.ts'
import type { Random } from './random.ts'
import { longText, NO_DETAILS, ODD_TEXTS, oddText, sentences } from './texts.ts'
import { CLOCK_CHANGES, DAY, HOUR, millis, MINUTE, wall } from './time.ts'

/** Codes are those of DPS, times are wall times. */
export interface Incident {
  readonly type: string
  readonly status: string
  readonly location: string
  readonly title: string
  readonly description: string
  readonly occurredAt: string
  readonly reportedAt: string
  readonly createdAt: string
  readonly modifiedAt: string
  readonly reportedBy: string
  readonly modifiedBy: string
  readonly lastUserAction: string | null
  readonly prisoners: readonly PrisonerPart[]
  readonly staff: readonly StaffPart[]
  readonly questions: readonly Answered[]
  readonly statuses: readonly StatusStep[]
  readonly corrections: readonly Correction[]
  readonly addenda: readonly Addendum[]
  readonly earlier: readonly Earlier[]
}

export interface PrisonerPart extends Prisoner {
  readonly role: string
  readonly outcome: string | null
  readonly comment: string | null
}

export interface StaffPart extends Staff {
  readonly role: string
  readonly comment: string | null
}

export interface Answered {
  readonly code: string
  readonly text: string
  readonly label: string
  readonly information: string | null
  readonly responses: readonly Answer[]
}

export interface Answer {
  readonly code: string
  readonly text: string
  readonly label: string
  readonly date: string | null
  readonly information: string | null
  readonly at: string
  readonly by: string
}

export interface StatusStep {
  readonly status: string
  readonly at: string
  readonly by: string
}

export interface Correction {
  readonly text: string
  readonly at: string
  readonly by: string
  readonly userAction: string | null
  readonly userType: string | null
}

export interface Addendum {
  readonly text: string
  readonly at: string
  readonly by: Staff & { readonly username: string }
}

/** A type that the incident had before, with the questions it had then. */
export interface Earlier {
  readonly type: string
  readonly at: string
  readonly by: string
  readonly questions: readonly Answered[]
}

/** Types that make up half of what is reported. */
const FREQUENT = ['ASSAULT_5', 'SELF_HARM_1', 'FIND_6', 'MISCELLANEOUS_1', 'ASSAULT_1', 'FIRE_1', 'DISORDER_2']

/**
 * The incident number `index` of a load. `before` (milliseconds of a wall time) bounds every time in it; it happened
 * within the two years before. Every type occurs in 120 successive incidents, every odd text and clock change in 60.
 */
export function buildIncident(random: Random, index: number, before: number): Incident {
  const type = index % 2 === 0 ? TYPES[(index / 2) % TYPES.length]![0] : random.pick(FREQUENT)
  const usual = before - 30 * DAY - random.int(0, 700 * DAY)
  const night = clockChange(index)
  const occurred = night === null ? usual - (usual % MINUTE) : millis(night)
  const reported = occurred + random.int(5 * MINUTE, 20 * HOUR)
  const reporter = account(random).username
  const oddity = index % 10 === 3 ? ODD_TEXTS[Math.floor(index / 10) % ODD_TEXTS.length]! : null
  const description = oddity === null ? sentences(random, random.int(1, 5)) : oddText(random, oddity)
  const prisoners = people(random, [0, 1, 1, 1, 2, 2, 3, 6], () => prisonerPart(random))
  const location = random.pick(LOCATIONS)
  const path = statusPath(random, reported, before)
  const last = path.steps.at(-1)!
  return {
    type,
    status: last.status,
    location,
    title: oddity === 'placeholder' ? NO_DETAILS : title(type, prisoners, location),
    description,
    occurredAt: wall(occurred),
    reportedAt: wall(reported, random.int(0, 999)),
    createdAt: wall(reported, random.int(0, 999)),
    modifiedAt: last.at,
    modifiedBy: last.by,
    reportedBy: oddity === 'placeholder' ? 'unknown' : reporter,
    lastUserAction: path.lastUserAction,
    prisoners,
    staff: people(random, [0, 0, 1, 1, 2, 3], () => staffPart(random)),
    questions: answerQuestions(random, type, wall(reported + HOUR), reporter),
    statuses: path.steps,
    corrections: path.corrections,
    addenda: random.chance(0.12) ? [addendum(random, wall(reported + 2 * DAY))] : [],
    earlier: random.chance(0.12) ? [earlier(random, type, reported + 30 * MINUTE, reporter)] : [],
  }
}

export function prisonerPart(random: Random): PrisonerPart {
  return {
    ...prisoner(random),
    role: random.pick(PRISONER_ROLES)[0],
    outcome: random.chance(0.5) ? random.pick(OUTCOMES)[0] : null,
    comment: comment(random),
  }
}

export function staffPart(random: Random): StaffPart {
  return { ...staff(random), role: random.pick(STAFF_ROLES)[0], comment: comment(random) }
}

/** The branch of the type's questions that somebody went through. */
export function answerQuestions(random: Random, type: string, at: string, by: string): Answered[] {
  const { questions } = questionSet(type)
  return random
    .sample(questions, Math.max(2, Math.ceil(questions.length * 0.7)))
    .map((question) => answerQuestion(random, question, at, by))
}

export function answerQuestion(random: Random, question: QuestionDefinition, at: string, by: string): Answered {
  const answers = random.sample(question.answers, question.multiple ? random.int(1, 3) : 1)
  return {
    code: String(question.id),
    text: question.text,
    label: question.label,
    information: random.chance(0.05) ? sentences(random, 1) : null,
    responses: answers.map((answer) => ({
      code: String(answer.id),
      text: answer.text,
      label: answer.label,
      date: answer.asksDate ? at.slice(0, 10) : null,
      information: answer.asksComment ? sentences(random, 1) : null,
      at,
      by,
    })),
  }
}

export function addendum(random: Random, at: string): Addendum {
  return { text: random.chance(0.05) ? longText(random) : sentences(random, 2), at, by: account(random) }
}

/** As the service's pages write it: type, people, place. */
export function title(type: string, prisoners: readonly Prisoner[], location: string): string {
  const what = type.replace(/_\d$/, '').replaceAll('_', ' ').toLowerCase()
  const who = prisoners.map((each) => `${each.lastName} ${each.number}`).join(', ')
  return `${what.charAt(0).toUpperCase()}${what.slice(1)}: ${who} (${location})`
}

export function comment(random: Random): string | null {
  return random.weighted([
    [null, 6],
    [sentences(random, 1), 4],
    [NO_DETAILS, 0.5],
    [oddText(random, random.pick(['unicode', 'quotes', 'whitespace'])), 0.5],
  ])
}

function people<T>(random: Random, counts: readonly number[], make: () => T): T[] {
  return Array.from({ length: random.pick(counts) }, make)
}

function earlier(random: Random, now: string, at: number, by: string): Earlier {
  const type = random.pick(TYPES.filter(([dps]) => dps !== now))[0]
  return { type, at: wall(at), by, questions: answerQuestions(random, type, wall(at - 10 * MINUTE), by) }
}

interface StatusPath {
  readonly steps: readonly StatusStep[]
  readonly corrections: readonly Correction[]
  readonly lastUserAction: string | null
}

/** A walk through the allowed transitions, none later than `before`. */
function statusPath(random: Random, reported: number, before: number): StatusPath {
  const steps: StatusStep[] = [{ status: DPS_STATUSES[0], at: wall(reported), by: account(random).username }]
  const corrections: Correction[] = []
  let lastUserAction: string | null = null
  let time = reported
  for (let left = random.pick([0, 1, 1, 2, 2, 2, 3, 4, 6, 8]); left > 0; left--) {
    const status = steps.at(-1)!.status
    const { action, to, userType } = random.pick(TRANSITIONS.filter((transition) => transition.from === status))
    time = Math.min(time + random.int(HOUR, 3 * DAY), before - MINUTE)
    const at = wall(time, random.int(0, 999))
    const by = account(random).username
    steps.push({ status: to, at, by })
    lastUserAction = action
    if (random.chance(0.6)) {
      corrections.push({ text: sentences(random, 1), at, by, userAction: action, userType })
    } else lastUserAction = null
  }
  return { steps, corrections, lastUserAction }
}

function clockChange(index: number): string | null {
  if (index % 30 === 7) return CLOCK_CHANGES.gap[Math.floor(index / 30) % 2]!
  if (index % 30 === 17) return CLOCK_CHANGES.overlap[Math.floor(index / 30) % 2]!
  return null
}
