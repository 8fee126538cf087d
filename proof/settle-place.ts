/** Settling one place's suspects, with a connection of its own, so that no place waits for another's fence. */
import { limited, passes } from './fence.ts'
import type { ProvenPlace } from './proven-place.ts'
import type { Run } from './reconcile-run.ts'
import { settle, type Settled, type Suspect } from './settle.ts'
import { sourceReader } from './source-rows.ts'

export async function settlePlace(run: Run, place: ProvenPlace, suspects: readonly Suspect[]): Promise<Settled> {
  if (suspects.length === 0) return { differences: [], unsettled: [] }
  const { options, expected } = run
  const signal = limited(options)
  const source = await sourceReader(options.databaseUrl, expected.tables)
  try {
    return await settle(place, suspects, {
      source,
      expected,
      ended: () => signal.aborted,
      fence: (lsn) => passes(place, lsn, options, signal),
    })
  } finally {
    await source.close()
  }
}
