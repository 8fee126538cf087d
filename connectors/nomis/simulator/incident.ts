/** The incidents of a NOMIS that does not exist, each made from seed and number alone: a million take no memory. */
/** A generator of whole numbers (mulberry32) from two parts. */
function random(seed: number, id: number): (below: number) => number {
  let state = (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(id, 0x85ebca6b)) | 0
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * below)
  }
}

/** NOMIS's codes of types; one questionnaire each. */
const TYPES = [
  'ABSCOND', 'ASSAULT', 'ASSAULTS', 'ASSAULTS3', 'ATT_ESCAPE', 'BARRICADE', 'BREACH', 'CLOSE_DOWN', 'DAMAGE', 'DEATH',
  'DIRTYPROTEST', 'DISORDER', 'DISORDER1', 'DRONE2', 'DRUGS', 'ESCAPE_EST', 'FIND', 'FIND0422', 'FINDS', 'FIRE',
  'FOOD_REF', 'HOSTAGE', 'KEY_LOCKNEW', 'MISC', 'MOBILES', 'REL_ERROR', 'ROOF_CLIMB', 'SELF_HARM', 'TOOL_LOSS', 'TRF3',
] as const // prettier-ignore

const PRISONS = ['MDI', 'LEI', 'WWI', 'BXI', 'FKI', 'HMI', 'NMI', 'RNI', 'SWI', 'WDI', 'NORTH', 'SOUTH'] as const
const STATUSES = ['CLOSE', 'CLOSE', 'CLOSE', 'CLOSE', 'CLOSE', 'DUP', 'AWAN', 'INAN', 'INREQ', 'INAME', 'PIU'] as const
const PRISONER_ROLES = ['ACTINV', 'ASSIAL', 'FIGHT', 'PERP', 'VICT', 'SUSINV', 'PRESENT'] as const
const STAFF_ROLES = ['AI', 'INV', 'PAS', 'WIT', 'VICT', 'CRH'] as const
const OUTCOMES = ['ACCT', 'POR', 'HELTH', 'ILOC', null, null] as const
const SENTENCES = [
  'Staff attended and the area was made safe.',
  'The prisoner was spoken to and gave no explanation.',
  'Healthcare attended and no treatment was needed.',
  'He said "it\'s mine"; nothing was found – façade & <b>bold</b>.',
  'A search of the cell followed.',
] as const
const FIRST_NAMES = ['Alder', 'Birch', 'Fern', 'Hazel', 'Siân', 'Łukasz', 'Айва'] as const
const LAST_NAMES = ['Testcase', 'Mockford', "O'Specimen", 'Fixture', 'Example-Smythe', 'Пример'] as const

/** How an incident differs from the one that the seed makes. */
export interface SimulatedChange {
  /** How often it was changed. */
  readonly version: number
  readonly at: string
  readonly deleted: boolean
  readonly status?: string | undefined
  /** Fields that stand in place of the made ones. */
  readonly fields?: Readonly<Record<string, unknown>> | undefined
}

/** As `GET /incidents/{id}` answers it. Of a version above 0 title and answers differ. */
export function simulatedIncident(seed: number, id: number, change?: SimulatedChange): Record<string, unknown> {
  const next = random(seed, id)
  const pick = <T>(from: readonly T[]): T => from[next(from.length)]!
  const version = change?.version ?? 0
  const type = pick(TYPES)
  const questionnaire = questionnaireId(type)
  const day = 1 + next(28)
  const created = `20${pad(10 + next(14))}-${pad(1 + next(12))}-${pad(day)}T${pad(next(24))}:${pad(next(60))}:${pad(next(60))}`
  const prison = pick(PRISONS)
  const member = () => {
    const number = next(400)
    return {
      username: number % 20 === 0 ? 'unknown' : `TEST_USER${String(number).padStart(3, '0')}`,
      staffId: 100_000 + number,
      firstName: FIRST_NAMES[number % FIRST_NAMES.length]!,
      lastName: LAST_NAMES[number % LAST_NAMES.length]!,
    }
  }
  const stamps = {
    createDateTime: created,
    createdBy: 'TEST_USER001',
    lastModifiedDateTime: change?.at ?? null,
    lastModifiedBy: change === undefined ? null : 'TEST_USER002',
  }
  const answers = (first: number, question: number) =>
    Array.from({ length: 1 + next(2) }, (_, i) => ({
      questionResponseId: next(40) === 0 ? null : question * 10 + i,
      sequence: first + i,
      answer: next(40) === 0 ? null : pick(['YES', 'NO', 'NOT KNOWN', 'OTHER']),
      responseDate: next(4) === 0 ? created.slice(0, 10) : null,
      comment: next(4) === 0 ? pick(SENTENCES) : null,
      recordingStaff: member(),
      ...stamps,
    }))
  let answered = 0
  const questions = Array.from({ length: 2 + next(8) }, (_, i) => {
    const questionId = questionnaire * 100 + i
    const given = answers(answered + 1, questionId)
    answered += given.length
    return {
      questionId,
      sequence: i + 1,
      question: `QUESTION ${i + 1} OF ${type}`,
      hasMultipleAnswers: given.length > 1,
      answers: given,
      createDateTime: created,
      createdBy: stamps.createdBy,
    }
  })
  const prisoners = next(4)
  const earlier = next(10) === 0 ? pick(TYPES) : null
  const status = change?.status ?? pick(STATUSES)
  return {
    incidentId: id,
    questionnaireId: questionnaire,
    title: next(20) === 0 ? null : `${pick(SENTENCES)}${version === 0 ? '' : ` (${version})`}`,
    description: next(20) === 0 ? null : Array.from({ length: 1 + next(6) }, () => pick(SENTENCES)).join(' '),
    agency: { code: prison, description: prison },
    status: { code: status, description: status, listSequence: 1, standardUser: true, enhancedUser: true },
    type,
    lockedResponse: status === 'CLOSE',
    incidentDateTime: created,
    reportingStaff: member(),
    reportedDateTime: created,
    ...stamps,
    followUpDate: next(7) === 0 ? created.slice(0, 10) : null,
    staffParties: Array.from({ length: next(3) }, (_, i) => ({
      staff: member(),
      sequence: 2 + i * 2,
      role: { code: pick(STAFF_ROLES), description: '' },
      comment: null,
      ...stamps,
    })),
    offenderParties: Array.from({ length: prisoners }, (_, i) => {
      const outcome = pick(OUTCOMES)
      const number = next(3_000)
      return {
        offender: {
          offenderNo: `T${String(number).padStart(4, '0')}AA`,
          firstName: FIRST_NAMES[number % FIRST_NAMES.length]!,
          lastName: LAST_NAMES[number % LAST_NAMES.length]!,
        },
        sequence: 1 + i * 2,
        role: { code: pick(PRISONER_ROLES), description: '' },
        outcome: outcome === null ? null : { code: outcome, description: '' },
        comment: next(3) === 0 ? pick(SENTENCES) : null,
        ...stamps,
      }
    }),
    requirements: Array.from({ length: next(5) === 0 ? 1 : 0 }, (_, i) => ({
      sequence: i + 1,
      comment: pick(SENTENCES),
      recordedDate: created,
      staff: member(),
      agencyId: prison,
      ...stamps,
    })),
    questions,
    history:
      earlier === null
        ? []
        : [
            {
              questionnaireId: questionnaireId(earlier),
              type: earlier,
              description: earlier,
              questions: [0, 1].map((i) => ({
                questionId: questionnaireId(earlier) * 100 + i,
                sequence: i + 1,
                question: `QUESTION ${i + 1} OF ${earlier}`,
                answers: answers(i * 2 + 1, questionnaireId(earlier) * 100 + i).map(({ sequence, ...answer }) => ({
                  ...answer,
                  responseSequence: sequence,
                })),
              })),
              incidentChangeDateTime: created,
              incidentChangeStaff: member(),
              createDateTime: created,
              createdBy: stamps.createdBy,
            },
          ],
    ...change?.fields,
  }
}

function questionnaireId(type: (typeof TYPES)[number]): number {
  return 1_001 + TYPES.indexOf(type)
}

function pad(number: number): string {
  return String(number).padStart(2, '0')
}
