/** Values around the largest that a record takes, through every stage of a runtime: what passes, what becomes a letter, how it is mended. */
import { createHash } from 'node:crypto'
import pg from 'pg'
import { expect } from 'vitest'
import { reconcileRuntime } from '../../commands/reconcile.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { capture, deliver, governed } from '../../pipeline.ts'
import { readLetters, type Letter } from '../../proof/dead-letters.ts'
import { PLACES, type Reconciliation } from '../../proof/reconcile.ts'
import type { Runtime } from '../../runtime.ts'
import { SINKS } from '../../sinks/names.ts'
import { rowId } from '../../transforms/identity.ts'
import { topics } from '../../transport/topics.ts'
import { seedReports } from '../../workload/load.ts'
import { untilRead } from './events.ts'
import type { TestDatabase } from './postgres.ts'

const MiB = 1 << 20
const PASSES = 16 * MiB
const TOO_LARGE = 17 * MiB

export async function expectLargeValues(runtime: Runtime, database: TestDatabase): Promise<void> {
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await seedReports(client, { seed: 1, reports: 6 })
  await client.end()
  const reports = await database.query<{ id: string; reference: string }>(
    'SELECT id::text AS id, report_reference AS reference FROM public.report ORDER BY id LIMIT 3',
  )
  const [whole, large, other] = reports as [(typeof reports)[0], (typeof reports)[0], (typeof reports)[0]]

  const stop = new AbortController()
  const stages = [
    capture(runtime, stop.signal),
    governed(runtime, stop.signal),
    ...SINKS.map((name) => deliver(runtime, name, stop.signal)),
  ]
  const read = () => Promise.race([untilRead(runtime, database, ['unify', ...SINKS]), ...stages])
  const describe = (id: string, bytes: number) =>
    database.query(`UPDATE public.report SET description = repeat('y', ${bytes}) WHERE id = '${id}'`)
  try {
    await read()
    await describe(whole.id, PASSES)
    const [addendum] = await database.query<{ id: number }>(
      `INSERT INTO public.description_addendum (report_id, sequence, created_at, created_by, first_name, last_name, text)
       VALUES ('${large.id}', 99, now(), 'U', 'F', 'L', repeat('y', ${TOO_LARGE})) RETURNING id`,
    )
    await database.query(
      `BEGIN; UPDATE public.report SET title = 'beside it' WHERE id IN ('${large.id}', '${other.id}');
       UPDATE public.report SET description = repeat('y', ${TOO_LARGE}) WHERE id = '${large.id}'; COMMIT`,
    )
    await read()

    const sha256 = createHash('sha256').update('y'.repeat(TOO_LARGE)).digest('hex')
    const found = await letters(runtime)
    const { reference } = large
    expect(found).toMatchObject([
      { code: 'RECORD_TOO_LARGE', table: 'description_addendum', key: String(addendum!.id), reference },
      { code: 'RECORD_TOO_LARGE', table: 'report', key: large.id, reference },
    ])
    for (const [i, column] of ['text', 'description'].entries())
      expect(found[i]!.message).toContain(`left out ${column} (${TOO_LARGE} bytes, SHA-256 ${sha256})`)
    expect(JSON.stringify(found)).not.toContain('yyy')
    expect(await incomplete(database)).toEqual([
      { reference, code: 'RECORD_TOO_LARGE' },
      { reference, code: 'RECORD_TOO_LARGE' },
    ])
    // the report and the addendum that are too large, in every place, and nothing else: so what passed is equal
    const report = await reconciled(runtime)
    expect(report.places.filter(({ unsettled }) => unsettled > 0)).toEqual([])
    const named = report.places.filter(({ differing }) => differing > 0)
    for (const name of PLACES)
      expect(named.filter(({ place }) => place.includes(name)).flatMap(keysOf)).toContain(large.id)
    const tooLarge = [large.id, String(addendum!.id), rowId('public.description_addendum', String(addendum!.id))]
    expect(new Set(named.flatMap(keysOf))).toEqual(new Set(tooLarge))

    await describe(large.id, 10)
    await database.query(`DELETE FROM public.description_addendum WHERE id = ${addendum!.id}`)
    await read()
    expect(await incomplete(database)).toEqual([])
    const { differing, incomplete: refused, unsettled, places } = await reconciled(runtime)
    expect(places.filter((place) => place.differing > 0)).toEqual([])
    expect({ differing, refused, unsettled }).toEqual({ differing: 0, refused: 0, unsettled: 0 })
  } finally {
    stop.abort()
    await Promise.allSettled(stages)
  }
}

async function letters({ transport, registry, config }: Runtime): Promise<Letter[]> {
  return readLetters(await transport.topic(topics(config.NAMESPACE).deadLetters), registry)
}

function incomplete(database: TestDatabase): Promise<{ reference: string; code: string }[]> {
  return database.query('SELECT reference, code FROM prisons.incidents_incomplete')
}

function reconciled(runtime: Runtime): Promise<Reconciliation> {
  return reconcileRuntime(runtime, { timeoutMs: 240_000, signal: AbortSignal.timeout(400_000) })
}

const keysOf = ({ keys }: { readonly keys: readonly { readonly key: string }[] }): string[] =>
  keys.map(({ key }) => key)
