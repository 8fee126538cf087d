/**
 * A store that is built anew beside the old one, and takes its place in one database transaction.
 *
 * Writers take shared locks for each of their transactions; the swap takes them alone. It is made only where the new store
 * has read at least as far as the old one, so a writer of the old one, which finds that its store is another
 * (operational-layout.ts), reads on from the new one's places and misses nothing. Readers touch the places first, and so
 * does the swap: neither waits for the other half-way.
 */
import type pg from 'pg'
import { connectStore, storeError } from './operational-connection.ts'
import { copyAmendments } from './operational-amendment.ts'
import { isStoreOf, LAYOUT, NEXT_SCHEMA, PREVIOUS_SCHEMA, SCHEMA } from './operational-layout.ts'
import { ALONE, STORE_ALONE } from './operational-merge.ts'
import type { OperationalOptions } from './operational.ts'

export interface Swapped {
  /** False when the old store has read further: read on, and try again. */
  readonly done: boolean
  /** Amendments that the topic no longer holds, taken over from the old store. */
  readonly amendments: number
}

/** Makes room for a new store beside the old one; what an interrupted rebuild of the same version left is kept. */
export async function prepareNextStore(options: OperationalOptions): Promise<void> {
  await onStore(options.url, async (client) => {
    const kept = await isStoreOf(client, { ...options, schema: NEXT_SCHEMA })
    if (!kept) await client.query(`DROP SCHEMA IF EXISTS ${NEXT_SCHEMA} CASCADE`)
  })
}

/**
 * Puts the new store in the place of the old one, which goes to the schema `prisons_previous`. Tables of others in the
 * schema `prisons`, and what roles may do with ours, stay as they are.
 */
export function swapStores(url: string): Promise<Swapped> {
  return onStore(url, async (client) => {
    await client.query(`BEGIN; ${STORE_ALONE}; ${ALONE}`)
    const old = await relationsOf(client, SCHEMA)
    if (old.has('incidents_place')) {
      await client.query(`LOCK TABLE ${SCHEMA}.incidents_place IN ACCESS EXCLUSIVE MODE`)
      if (await isAhead(client)) {
        await client.query('ROLLBACK')
        return { done: false, amendments: 0 }
      }
    }
    const amendments = old.has('incidents_amendment') ? await takeOverAmendments(client) : 0
    await client.query(`
      CREATE SCHEMA IF NOT EXISTS ${SCHEMA};
      DROP SCHEMA IF EXISTS ${PREVIOUS_SCHEMA} CASCADE;
      CREATE SCHEMA ${PREVIOUS_SCHEMA}`)
    const grants = await grantsOf(client)
    await move(client, old, SCHEMA, PREVIOUS_SCHEMA)
    await move(client, await relationsOf(client, NEXT_SCHEMA), NEXT_SCHEMA, SCHEMA)
    for (const grant of grants) await client.query(grant)
    await client.query(`DROP SCHEMA ${NEXT_SCHEMA}; COMMIT`)
    return { done: true, amendments }
  })
}

async function onStore<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connectStore(url, NEXT_SCHEMA)
  try {
    return await work(client)
  } catch (error) {
    throw storeError(error, url)
  } finally {
    await client.end().catch(() => {})
  }
}

/** Whether the old store has read something that the new one has not. */
async function isAhead(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query(`
    SELECT FROM ${SCHEMA}.incidents_place o LEFT JOIN ${NEXT_SCHEMA}.incidents_place n USING ("partition")
    WHERE o.next > coalesce(n.next, 0) OR o.height > coalesce(n.height, '')`)
  return rows.length > 0
}

async function takeOverAmendments(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ version: string }>(`SELECT version FROM ${SCHEMA}.incidents_layout`)
  if (Number(rows[0]?.version) > LAYOUT) return 0
  return (await client.query(copyAmendments(SCHEMA))).rowCount ?? 0
}

/** Our tables, views and functions of a schema, with what SQL calls their kind. The API's audit records are not the store's. */
async function relationsOf(client: pg.Client, schema: string): Promise<Map<string, string>> {
  const { rows } = await client.query<{ name: string; kind: string }>(
    `SELECT relname AS name, CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind
     FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'v') AND relname LIKE 'incidents\\_%'
       AND relname NOT LIKE 'incidents\\_audit%'
     UNION ALL
     SELECT proname, 'FUNCTION' FROM pg_proc
     WHERE pronamespace = to_regnamespace($1) AND proname LIKE 'incidents\\_%'
       AND proname NOT LIKE 'incidents\\_audit%'`,
    [schema],
  )
  return new Map(rows.map(({ name, kind }) => [name, kind]))
}

async function move(
  client: pg.Client,
  relations: ReadonlyMap<string, string>,
  from: string,
  to: string,
): Promise<void> {
  for (const [name, kind] of relations) await client.query(`ALTER ${kind} ${from}."${name}" SET SCHEMA ${to}`)
}

/** What was granted on the old relations, for the new ones that have their names. */
async function grantsOf(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ sql: string }>(`
    SELECT format('GRANT %s ON ${SCHEMA}.%I TO %s%s', a.privilege_type, o.relname,
                  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(a.grantee::regrole::text) END,
                  CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS sql
    FROM pg_class o JOIN pg_class n ON n.relname = o.relname AND n.relnamespace = '${NEXT_SCHEMA}'::regnamespace,
         aclexplode(o.relacl) a
    WHERE o.relnamespace = '${SCHEMA}'::regnamespace AND o.relkind IN ('r', 'v') AND o.relname LIKE 'incidents\\_%'
      AND a.grantee <> o.relowner`)
  return rows.map(({ sql }) => sql)
}
