/** What a reader may do with an incident, and why not: said before the API would refuse it. */
import type { FastifyRequest } from 'fastify'
import { ADMINISTER_REPORTS, DELETE_REPORTS, MAINTAIN_REPORTS } from '../api/roles.ts'
import { isEditable, refusedTransition } from '../api/rules.ts'
import { STATUSES } from '../transforms/codes.ts'
import type { Details } from './incident-view.ts'

interface Rollout {
  readonly cutOff: string | null
  readonly pastCutOff: boolean
}

export interface Permissions {
  readonly amend: boolean
  /** Its people, answers and type. */
  readonly parts: boolean
  /** What is added to its description: in any status. */
  readonly addenda: boolean
  /** As made in error. */
  readonly remove: boolean
  /** Statuses that it may become; none when it may not. */
  readonly statuses: readonly string[]
  /** Why something is not allowed; null when nothing is withheld. */
  readonly why: string | null
}

/** What this reader may do with this incident, and why not. */
export async function permissions(request: FastifyRequest, details: Details): Promise<Permissions> {
  const roles = request.session!.roles
  const remove = details.nomisStatus === null && roles.includes(DELETE_REPORTS)
  const nothing = { amend: false, parts: false, addenda: false, remove, statuses: [] }
  const none = (why: string): Permissions => ({ ...nothing, why })
  if (!roles.includes(MAINTAIN_REPORTS))
    return none('You can read this incident. Changing it takes the role MAINTAIN_INCIDENT_REPORTS.')
  if (details.nomisStatus !== null) {
    const place = `${encodeURIComponent(details.location || '*ALL*')}/${encodeURIComponent(details.type)}`
    const { body } = await request.api<Rollout>(`/rollout/${place}`)
    if (body === null || !body.pastCutOff) {
      const until = body?.cutOff == null ? '' : ` until ${body.cutOff}`
      return none(`This is a record of NOMIS. It is read-only here: NOMIS may still change it${until}.`)
    }
    if (!roles.includes(ADMINISTER_REPORTS)) {
      return none(`This is a record of NOMIS, past its cut-off on ${body.cutOff}. Only administrators change it now.`)
    }
    return { ...nothing, amend: true, statuses: nextStatuses(details), why: null }
  }
  const statuses = nextStatuses(details)
  const own = { ...nothing, addenda: true, statuses }
  if (isEditable(details.status)) return { ...own, amend: true, parts: true, why: null }
  return { ...own, why: 'The report is completed or on hold. Change its status first to amend it.' }
}

function nextStatuses({ nomisStatus, status: from, location }: Details): string[] {
  const all = STATUSES.map(({ status }) => status).filter((to) => to !== from)
  // Of NOMIS's records an administrator changes what NOMIS could hold.
  if (nomisStatus !== null) return all.filter((to) => NOMIS_HOLDS.has(to))
  return all.filter((to) => refusedTransition({ location, from, to, hasOriginal: true }) === null)
}

const NOMIS_HOLDS = new Set(['AWAITING_REVIEW', 'ON_HOLD', 'NEEDS_UPDATING', 'UPDATED', 'CLOSED', 'DUPLICATE'])
