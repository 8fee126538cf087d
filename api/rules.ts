/**
 * The rules of the move from NOMIS to DPS, and of a report's life. Nothing here reads or writes: who knows the facts
 * asks, and is told yes or why not. Dates are London's, `2024-07-01`.
 */

/** From which day a prison reports a type in DPS, and for how many months NOMIS may then still change its own. */
export interface Rollout {
  /** A prison or PECS region, or {@link ALL}. */
  readonly prison: string
  /** A DPS type, or {@link ALL}. */
  readonly type: string
  readonly dpsFrom: string
  readonly cutOffMonths: number
}

/** Every prison, or every type, that has no rollout of its own; as NOMIS's switches write it. */
export const ALL = '*ALL*'

/** How long NOMIS may change its records after the rollout, in months. */
export const CUT_OFF_MONTHS = { least: 6, most: 12, byDefault: 12 } as const

/** The rollout that holds for a prison and type: the most particular one, the prison's before the type's. */
export function rolloutOf(rollouts: readonly Rollout[], prison: string, type: string): Rollout | null {
  for (const [wantedPrison, wantedType] of [
    [prison, type],
    [prison, ALL],
    [ALL, type],
    [ALL, ALL],
  ]) {
    const found = rollouts.find((each) => each.prison === wantedPrison && each.type === wantedType)
    if (found !== undefined) return found
  }
  return null
}

/** Where new incidents of that day are reported. Without a rollout it is NOMIS. */
export function reportedIn(rollout: Rollout | null, on: string): 'DPS' | 'NOMIS' {
  return rollout !== null && on >= rollout.dpsFrom ? 'DPS' : 'NOMIS'
}

/** The first day on which NOMIS's records change no more; null when there is none yet. */
export function cutOffOf(rollout: Rollout | null): string | null {
  return rollout === null ? null : addMonths(rollout.dpsFrom, rollout.cutOffMonths)
}

export function isCutOff(rollout: Rollout | null, on: string): boolean {
  const cutOff = cutOffOf(rollout)
  return cutOff !== null && on >= cutOff
}

/** The same day of a later month, or the last one where that month is shorter. */
export function addMonths(date: string, months: number): string {
  const [year = 0, month = 1, day = 1] = date.split('-').map(Number)
  const last = new Date(Date.UTC(year, month - 1 + months + 1, 0))
  last.setUTCDate(Math.min(day, last.getUTCDate()))
  return last.toISOString().slice(0, 10)
}

/** NOMIS statuses in which NOMIS still works on an incident (rule nomis.statuses). */
const OPEN_IN_NOMIS: ReadonlySet<string> = new Set(['AWAN', 'INAN', 'INREQ', 'INAME', 'PIU', 'IUP'])

export function isOpenInNomis(status: string): boolean {
  return OPEN_IN_NOMIS.has(status)
}

export const NOMIS_OPEN_STATUSES: readonly string[] = [...OPEN_IN_NOMIS]

/** References from here on are DPS's own; NOMIS holds copies of them. */
export const FIRST_DPS_REFERENCE = 10_000_000

export type Verdict = 'allowed' | 'cutOff' | 'readOnly' | 'otherSystem'

export interface DripFeed {
  readonly rollout: Rollout | null
  readonly on: string
  /** What is held already; null when NOMIS's incident is new here. */
  readonly heldStatus: string | null
  readonly givenStatus: string
  /** The day on which NOMIS made the incident. */
  readonly createdOn: string
  /** The first bringing over of everything, which is not the drip-feed. */
  readonly initial: boolean
}

/** Whether NOMIS may still bring this incident. What it changes nothing of is always allowed; ask before writing. */
export function dripFeedVerdict({ rollout, on, heldStatus, givenStatus, createdOn, initial }: DripFeed): Verdict {
  if (heldStatus === null) {
    if (reportedIn(rollout, createdOn) === 'DPS') return 'otherSystem'
    return !initial && isCutOff(rollout, on) ? 'cutOff' : 'allowed'
  }
  if (isCutOff(rollout, on)) return 'cutOff'
  return isOpenInNomis(heldStatus) || isOpenInNomis(givenStatus) ? 'allowed' : 'readOnly'
}

/** Whether a NOMIS record may be edited here: after the cut-off alone, and by the admin role alone. */
export function editVerdict(edit: { rollout: Rollout | null; on: string; admin: boolean }): 'allowed' | 'readOnly' {
  return edit.admin && isCutOff(edit.rollout, edit.on) ? 'allowed' : 'readOnly'
}

export type UserType = 'REPORTING_OFFICER' | 'DATA_WARDEN'

interface Transition {
  readonly by: UserType
  readonly from: string
  /** As correction requests record it. */
  readonly actions: readonly string[]
  readonly to: string
}

const REVIEW = ['REQUEST_REVIEW', 'REQUEST_DUPLICATE', 'REQUEST_NOT_REPORTABLE']
const CLOSED = ['CLOSED', 'DUPLICATE', 'NOT_REPORTABLE'] as const

const officer = (from: string, actions: readonly string[], to: string): Transition => ({
  by: 'REPORTING_OFFICER',
  from,
  actions,
  to,
})
const warden = (from: string, action: string, to: string): Transition => ({
  by: 'DATA_WARDEN',
  from,
  actions: [action],
  to,
})
const endings = (from: string): Transition[] => [
  warden(from, 'CLOSE', 'CLOSED'),
  warden(from, 'MARK_DUPLICATE', 'DUPLICATE'),
  warden(from, 'MARK_NOT_REPORTABLE', 'NOT_REPORTABLE'),
]

/** Reports of prisons (rule status.flow). */
const PRISON: readonly Transition[] = [
  officer('DRAFT', REVIEW, 'AWAITING_REVIEW'),
  officer('AWAITING_REVIEW', ['RECALL'], 'DRAFT'),
  officer('NEEDS_UPDATING', REVIEW, 'UPDATED'),
  officer('UPDATED', ['RECALL'], 'NEEDS_UPDATING'),
  officer('CLOSED', ['RECALL'], 'REOPENED'),
  officer('DUPLICATE', ['RECALL'], 'NEEDS_UPDATING'),
  officer('NOT_REPORTABLE', ['RECALL'], 'NEEDS_UPDATING'),
  officer('REOPENED', REVIEW, 'WAS_CLOSED'),
  officer('WAS_CLOSED', ['RECALL'], 'REOPENED'),
  ...['AWAITING_REVIEW', 'UPDATED', 'ON_HOLD'].flatMap((from) => [
    ...endings(from),
    warden(from, 'REQUEST_CORRECTION', 'NEEDS_UPDATING'),
  ]),
  warden('AWAITING_REVIEW', 'HOLD', 'ON_HOLD'),
  warden('UPDATED', 'HOLD', 'ON_HOLD'),
  warden('NEEDS_UPDATING', 'RECALL', 'UPDATED'),
  ...CLOSED.map((from) => warden(from, 'RECALL', 'UPDATED')),
  warden('REOPENED', 'RECALL', 'WAS_CLOSED'),
  ...endings('WAS_CLOSED'),
  warden('WAS_CLOSED', 'REQUEST_CORRECTION', 'REOPENED'),
]

/** Reports of PECS regions: data wardens alone. */
const PECS: readonly Transition[] = [
  warden('DRAFT', 'CLOSE', 'CLOSED'),
  ...CLOSED.map((from) => warden(from, 'RECALL', 'REOPENED')),
  ...endings('REOPENED'),
]

const PECS_REGIONS: ReadonlySet<string> = new Set(['NORTH', 'SOUTH'])

export function isPecs(location: string): boolean {
  return PECS_REGIONS.has(location)
}

export interface StatusChange {
  readonly location: string
  readonly from: string
  readonly to: string
  /** Where they are not said, any that leads there will do. */
  readonly action?: string | null | undefined
  readonly by?: string | null | undefined
  readonly hasOriginal: boolean
}

/** Null when the change is allowed, else why not. */
export function refusedTransition({ location, from, to, action, by, hasOriginal }: StatusChange): string | null {
  const allowed = (isPecs(location) ? PECS : PRISON).some(
    (each) =>
      each.from === from &&
      each.to === to &&
      (action == null || each.actions.includes(action)) &&
      (by == null || each.by === by),
  )
  if (!allowed) return `a report with status ${from} cannot become ${to} in this way`
  if (to === 'DUPLICATE' && action === 'MARK_DUPLICATE' && !hasOriginal) {
    return 'a duplicate needs the reference of the original report'
  }
  return null
}

/** Completed, or set aside for an investigation: its content stands until it is reopened (rule status.standing). */
const STANDING: ReadonlySet<string> = new Set([...CLOSED, 'ON_HOLD'])

/** Whether a report's content may change in this status. Bookkeeping (duplicates, corrections) may in any. */
export function isEditable(status: string): boolean {
  return !STANDING.has(status)
}
