/** How long after its commit a change shows, in the store and in the API. */
import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import type { Asker } from './open-loop.ts'

const PROBES = 150
/** Later than every answer that counts. */
const GONE_AFTER_MS = 2_000

/** Milliseconds of each probe. */
export interface Shown {
  readonly stored: readonly number[]
  readonly shown: readonly number[]
}

/**
 * Each probe changes one report's title and looks for it, in the store and in the API, from its commit on. One that the
 * load changes or deletes before it was seen is no probe.
 */
export async function shownAfter(client: pg.Client, embedded: Asker): Promise<Shown> {
  const stored: number[] = []
  const shown: number[] = []
  const holds = async (table: string, id: string, title: string): Promise<boolean> =>
    (await client.query(`SELECT FROM ${table} WHERE id = $1 AND title = $2`, [id, title])).rowCount === 1
  for (let i = 0; stored.length < PROBES; i++) {
    const title = `Probe ${i}`
    const { rows } = await client.query<{ id: string }>(
      'UPDATE report SET title = $1 WHERE id = (SELECT id FROM report ORDER BY id OFFSET $2 LIMIT 1) RETURNING id',
      [title, i % 50],
    )
    const committed = performance.now()
    const id = rows[0]!.id
    const isGone = async (): Promise<boolean> =>
      performance.now() > committed + GONE_AFTER_MS && !(await holds('report', id, title))
    const seen = await Promise.all([
      afterUntil(committed, () => holds('prisons.incidents_report', id, title), isGone),
      afterUntil(
        committed,
        async () => (await embedded.get(`/incident-reports/${id}`)).body.includes(`"${title}"`),
        isGone,
      ),
    ])
    if (seen[0] !== null && seen[1] !== null) {
      stored.push(seen[0])
      shown.push(seen[1])
    }
    await pause(50 + (i % 7) * 20)
  }
  return { stored, shown }
}

/** Milliseconds since `begun` when it holds; null when it is gone by then. */
async function afterUntil(
  begun: number,
  holds: () => Promise<boolean>,
  isGone: () => Promise<boolean>,
): Promise<number | null> {
  while (!(await holds())) {
    if (await isGone()) return null
    if (performance.now() > begun + 30_000) throw new Error('a change did not show within 30 s')
    await pause(2)
  }
  return performance.now() - begun
}
