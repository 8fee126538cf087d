/** What Changes mean, found out when it is asked for: for changes that wait, since a mapped row is larger than its record. */
import type { Change } from '../core/change.ts'
import type { IncidentChange } from '../core/incident.ts'
import { unify } from './unify.ts'

/**
 * As `unify`, but nothing is mapped before its outcome is looked at. Only the last outcome is kept: whoever goes from
 * change to change maps each once, and what is made of it dies young.
 */
export function lateUnify(): (change: Change) => IncidentChange {
  const last: Last = { of: null, outcome: null }
  return (change) => (change.op === 'm' ? unify(change) : new LateOutcome(change, last))
}

interface Last {
  of: LateOutcome | null
  outcome: IncidentChange | null
}

class LateOutcome implements IncidentChange {
  readonly change: Change
  private readonly last: Last

  constructor(change: Change, last: Last) {
    this.change = change
    this.last = last
  }

  get rows(): IncidentChange['rows'] {
    return this.outcome().rows
  }

  get refusal(): IncidentChange['refusal'] {
    return this.outcome().refusal
  }

  get absence(): IncidentChange['absence'] {
    return this.outcome().absence
  }

  private outcome(): IncidentChange {
    const { last } = this
    if (last.of !== this || last.outcome === null) {
      last.outcome = unify(this.change)
      last.of = this
    }
    return last.outcome
  }
}
