/**
 * An incident as NOMIS's API gives it and `POST /sync/upsert` takes it (rule nomis.payload), held to what the legacy
 * tables can store. Messages name the rule, never the value: it may be about a person.
 */
import { z } from 'zod'

/** PostgreSQL's text has no NUL, and UTF-8 no half of a surrogate pair. */
function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

/** varchar counts a pair of surrogates as one character. */
function isAtMost(text: string, longest: number): boolean {
  if (text.length <= longest) return true
  return text.length <= longest * 2 && text.replace(/[\ud800-\udbff][\udc00-\udfff]/g, 'x').length <= longest
}

/** A text that PostgreSQL can hold, of at most so many characters. */
export function storableText(longest: number, shortest = 0) {
  const message = `a text must have ${shortest} to ${longest} characters, none of them NUL or half a surrogate pair`
  return z
    .string({ error: message })
    .min(shortest, message)
    .refine((text) => isStorable(text) && isAtMost(text, longest), message)
}

const timeMessage = 'a time must be local and without zone, like 2024-07-01T12:34:56, in the years 1 to 9999'

/** London wall time without zone, to the microsecond at most. */
export const LocalTime = z.iso
  .datetime({ local: true, error: timeMessage })
  .refine((text) => /^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?$/.test(text), timeMessage)

const dateMessage = 'a date must be like 2024-07-01, in the years 1 to 9999'

export const LocalDate = z.iso.date({ error: dateMessage }).refine((text) => /^(?!0000)\d{4}-/.test(text), dateMessage)

/** NUMBER(10). */
const numberMessage = 'a number must be whole, from 0 to 9999999999'
const Id = z.int({ error: numberMessage }).min(0, numberMessage).max(9_999_999_999, numberMessage)
/** NUMBER(6). */
const sequenceMessage = 'a sequence must be whole, from 0 to 999999'
const Sequence = z.int({ error: sequenceMessage }).min(0, sequenceMessage).max(999_999, sequenceMessage)

const Username = storableText(120, 1)
const Name = storableText(255)
const Comment = storableText(240).nullish()
const Words = storableText(4_000)

const Code = z.object({ code: storableText(12, 1), description: storableText(255) })
const Staff = z.object({ username: Username, staffId: Id, firstName: Name, lastName: Name })

/** Usernames of NOMIS's audit columns. */
const Stamps = {
  createDateTime: LocalTime,
  createdBy: storableText(32, 1),
  lastModifiedDateTime: LocalTime.nullish(),
  lastModifiedBy: storableText(32, 1).nullish(),
}

function list<S extends z.ZodType>(item: S, most: number) {
  return z.array(item).max(most, `a list must have at most ${most} members`)
}

const answer = {
  questionResponseId: Id.nullish(),
  answer: Words.nullish(),
  responseDate: LocalDate.nullish(),
  comment: Comment,
  recordingStaff: Staff,
}

const NomisResponse = z.object({ ...answer, sequence: Sequence, ...Stamps })
const NomisHistoryResponse = z.object({ ...answer, responseSequence: Sequence })

const MOST_PARTIES = 1_000
/** The longest question set has 111 (rule dps.question-sets). */
const MOST_QUESTIONS = 500

export const NomisReport = z
  .object({
    incidentId: Id.min(1, numberMessage),
    questionnaireId: Id,
    title: storableText(240).nullish(),
    description: storableText(4_000).nullish(),
    prison: z.object({ code: storableText(6, 1), description: storableText(255) }),
    status: Code,
    type: storableText(12, 1),
    lockedResponse: z.boolean(),
    incidentDateTime: LocalTime,
    reportingStaff: Staff,
    reportedDateTime: LocalTime,
    ...Stamps,
    followUpDate: LocalDate.nullish(),
    staffParties: list(
      z.object({ staff: Staff, sequence: Sequence, role: Code, comment: Comment, ...Stamps }),
      MOST_PARTIES,
    ),
    offenderParties: list(
      z.object({
        offender: z.object({ offenderNo: storableText(10, 1), firstName: Name, lastName: Name }),
        sequence: Sequence,
        role: Code,
        outcome: Code.nullish(),
        comment: Comment,
        ...Stamps,
      }),
      MOST_PARTIES,
    ),
    requirements: list(
      z.object({
        sequence: Sequence,
        comment: Comment,
        recordedDate: LocalTime,
        staff: Staff,
        prisonId: storableText(6, 1),
        ...Stamps,
      }),
      MOST_PARTIES,
    ),
    questions: list(
      z.object({
        questionId: Id,
        sequence: Sequence,
        createDateTime: LocalTime,
        createdBy: storableText(32, 1),
        question: Words,
        answers: list(NomisResponse, MOST_QUESTIONS).default([]),
      }),
      MOST_QUESTIONS,
    ),
    history: list(
      z.object({
        questionnaireId: Id,
        type: storableText(12, 1),
        description: storableText(255).nullish(),
        questions: list(
          z.object({
            questionId: Id,
            sequence: Sequence,
            question: Words,
            answers: list(NomisHistoryResponse, MOST_QUESTIONS).default([]),
          }),
          MOST_QUESTIONS,
        ),
        incidentChangeDateTime: LocalTime.nullish(),
        incidentChangeStaff: Staff,
        createDateTime: LocalTime,
        createdBy: storableText(32, 1),
      }),
      100,
    ),
  })
  .superRefine((report, context) => {
    for (const [what, keys] of keyLists(report)) {
      if (new Set(keys).size !== keys.length) {
        context.addIssue({ code: 'custom', message: `a sequence stands twice among the ${what}` })
      }
    }
  })

export type NomisReport = z.infer<typeof NomisReport>

/** What must not stand twice: staff and prisoners share one sequence. */
function keyLists(report: {
  readonly staffParties: readonly { sequence: number }[]
  readonly offenderParties: readonly { sequence: number }[]
  readonly requirements: readonly { sequence: number }[]
  readonly questions: readonly { sequence: number; answers: readonly { sequence: number }[] }[]
  readonly history: readonly {
    questions: readonly { sequence: number; answers: readonly { responseSequence: number }[] }[]
  }[]
}): [string, number[]][] {
  const sequences = (items: readonly { sequence: number }[]): number[] => items.map(({ sequence }) => sequence)
  return [
    ['parties', sequences([...report.staffParties, ...report.offenderParties])],
    ['requirements', sequences(report.requirements)],
    ['questions', sequences(report.questions)],
    ...report.questions.map(({ answers }): [string, number[]] => ['answers', sequences(answers)]),
    ...report.history.flatMap(({ questions }): [string, number[]][] => [
      ['questions of a history', sequences(questions)],
      ...questions.map(({ answers }): [string, number[]] => [
        'answers of a history',
        answers.map(({ responseSequence }) => responseSequence),
      ]),
    ]),
  ]
}

export const NomisSyncRequest = z.object({
  id: z.guid({ error: 'the id of a report is a UUID' }).nullish().describe('Null makes a report, else it is changed.'),
  initialMigration: z.boolean().default(false),
  incidentReport: NomisReport,
})
export type NomisSyncRequest = z.infer<typeof NomisSyncRequest>
