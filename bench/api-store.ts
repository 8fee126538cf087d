/** An operational store with many reports: those that the pipeline delivered, and copies of them. */
import type pg from 'pg'

const TABLES = [
  'report',
  'prisoner_involvement',
  'staff_involvement',
  'question',
  'response',
  'status_change',
  'type_change',
  'correction_request',
  'description_addendum',
]

/** Beyond every reference that is given out, so that a copy's is nobody else's. */
const REFERENCES_APART = 100_000_000

/**
 * `copies` more of each report, with all that belongs to it: other ids, references, times and prisoners, and the same
 * relations. The pipeline would take an hour for as many; to the API they are alike.
 */
export async function copyReports(client: pg.Client, copies: number): Promise<void> {
  await client.query('SET synchronous_commit = off')
  for (const table of TABLES) {
    const { rows } = await client.query<{ name: string; type: string }>(
      `SELECT column_name AS name, data_type AS type FROM information_schema.columns
       WHERE table_schema = 'prisons' AND table_name = $1`,
      [`incidents_${table}`],
    )
    const names = rows.map(({ name }) => `"${name}"`).join(', ')
    await client.query(
      `INSERT INTO prisons.incidents_${table} (${names})
       SELECT ${rows.map(copied).join(', ')} FROM prisons.incidents_${table}, generate_series(1, ${copies}) AS k`,
    )
  }
  for (const table of TABLES) await client.query(`VACUUM ANALYZE prisons.incidents_${table}`)
  await client.query('CHECKPOINT') // else what was copied would reach the disk while requests are timed
}

function copied({ name, type }: { name: string; type: string }): string {
  if (type === 'uuid') return `md5("${name}"::text || k)::uuid`
  if (name === 'reference') return `(reference::bigint + k * ${REFERENCES_APART}::bigint)::text`
  if (name === 'prisoner_number') return `'B' || upper(substr(md5(prisoner_number || k), 1, 6))`
  if (name === 'incident_date_and_time_local') return `"${name}" - k * interval '50 minutes'`
  return `"${name}"`
}
