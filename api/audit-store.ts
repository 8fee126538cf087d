/** The audit records as a table of the operational store, which only grows. */
import pg from 'pg'
import type { Audit, AuditRecord } from './audit.ts'

export interface AuditStore extends Audit {
  /** Ends when what has been given is durable. */
  close(): Promise<void>
}

const SERVICE = 'irs-cdc'

/** Of one INSERT. */
const MOST_AT_ONCE = 500

/** What waits beyond this is refused: answers that cannot be recorded must not pile up. */
const MOST_WAITING = 10_000

/**
 * Only beside the store's own tables, which say whose the schema is. A record is never changed: whoever must, for its
 * retention, drops the trigger first.
 */
const TABLE = `
  BEGIN;
  SELECT pg_advisory_xact_lock(20260, 2), 'prisons.incidents_layout'::regclass;
  CREATE TABLE IF NOT EXISTS prisons.incidents_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text NOT NULL, "when" timestamptz NOT NULL,
    who text NOT NULL, client_id text NOT NULL, service text NOT NULL, operation_id text NOT NULL, subject_id text,
    subject_type text NOT NULL, correlation_id text NOT NULL, why text, details text NOT NULL);
  CREATE INDEX IF NOT EXISTS incidents_audit_who ON prisons.incidents_audit (who, id);
  CREATE INDEX IF NOT EXISTS incidents_audit_subject ON prisons.incidents_audit (subject_id, id);
  COMMENT ON TABLE prisons.incidents_audit IS 'Who saw or changed what through the API, and why. It only grows.';
  CREATE OR REPLACE FUNCTION prisons.incidents_audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'audit records are not changed'; END $$;
  CREATE OR REPLACE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON prisons.incidents_audit
    FOR EACH STATEMENT EXECUTE FUNCTION prisons.incidents_audit_only_grows();
  COMMIT`

const INSERT = {
  name: 'audit',
  text: `
    INSERT INTO prisons.incidents_audit (what, "when", who, client_id, service, operation_id, subject_id, subject_type,
                                         correlation_id, why, details)
    SELECT what, "when", who, client_id, '${SERVICE}', operation_id, subject_id, subject_type, correlation_id, why, details
    FROM json_to_recordset($1) AS r (what text, "when" timestamptz, who text, client_id text, operation_id text,
      subject_id text, subject_type text, correlation_id text, why text, details text)`,
}

/** Records that come while others are being written go together in the next write. */
export function auditStore(url: string): AuditStore {
  const pool = new pg.Pool({
    connectionString: url,
    max: 1,
    connectionTimeoutMillis: 5_000,
    application_name: 'incidents audit',
    options: '-c statement_timeout=10000 -c lock_timeout=5000',
  })
  pool.on('error', () => {})
  let waiting: { record: AuditRecord; resolve: () => void; reject: (error: unknown) => void }[] = []
  let writing: Promise<void> | null = null
  let made: Promise<void> | null = null

  function ready(): Promise<void> {
    made ??= makeTable(pool).catch((error: unknown) => {
      made = null
      throw error
    })
    return made
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MOST_AT_ONCE)
      waiting = waiting.slice(MOST_AT_ONCE)
      try {
        await ready()
        await pool.query({ ...INSERT, values: [JSON.stringify(batch.map(({ record }) => rowOf(record)))] })
        for (const { resolve } of batch) resolve()
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
  }

  return {
    ready,
    write: (record) =>
      new Promise((resolve, reject) => {
        if (waiting.length >= MOST_WAITING) return reject(new Error('too many audit records wait'))
        waiting.push({ record, resolve, reject })
        writing ??= drain().finally(() => (writing = null))
      }),
    close: async () => {
      await writing
      await pool.end()
    },
  }
}

async function makeTable(pool: pg.Pool): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query(TABLE)
    client.release()
  } catch (error) {
    client.release(true)
    throw error
  }
}

function rowOf({ what, when, who, clientId, operationId, correlationId, subject, why, details }: AuditRecord) {
  return {
    what,
    when: when.toISOString(),
    who: storable(who),
    client_id: storable(clientId),
    operation_id: storable(operationId),
    subject_id: subject === null ? null : storable(subject.id),
    subject_type: subject?.type ?? 'NOT_APPLICABLE',
    correlation_id: storable(correlationId),
    why: why === null ? null : storable(why),
    details: JSON.stringify(details),
  }
}

/** PostgreSQL's text has neither NUL nor half a character. */
function storable(text: string): string {
  return text.replaceAll('\0', '').toWellFormed()
}
