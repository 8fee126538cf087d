/** Which incidents each transaction touched, as triggers in the source see it: an account of its own, without the pipeline. */
import type { TestDatabase } from './postgres.ts'

/** `created`, `amended` or `deleted`, the incident, and the transaction's id. */
export interface Audited {
  readonly xid: number
  readonly source: 'DPS' | 'NOMIS'
  readonly reference: string
  readonly verb: string
}

/** From now on every change of a captured table is noted, in the transaction that makes it. */
export async function startAudit(database: TestDatabase): Promise<void> {
  await database.query(AUDIT)
}

/** The transactions that changed a captured table, in the order of their first changes. */
export async function auditedTransactions(database: TestDatabase): Promise<number[]> {
  const rows = await database.query<{ xid: string }>('SELECT xid FROM audit.change GROUP BY xid ORDER BY min(id)')
  return rows.map(({ xid }) => Number(xid))
}

/** What each transaction did to each incident, updates that change nothing and copies of DPS reports left out. */
export async function auditedIncidents(database: TestDatabase): Promise<Audited[]> {
  const rows = await database.query<{ xid: string; schema: string; reference: string; verb: string }>(`
    SELECT xid, schema, reference,
      CASE WHEN bool_or(root AND op = 'INSERT') THEN 'created' WHEN bool_or(root AND op = 'DELETE') THEN 'deleted'
           ELSE 'amended' END AS verb
    FROM audit.change
    WHERE reference IS NOT NULL AND changed AND NOT (schema = 'nomis' AND length(reference) >= 8)
    GROUP BY xid, schema, reference`)
  return rows.map(({ xid, schema, reference, verb }) => ({
    xid: Number(xid),
    source: schema === 'nomis' ? 'NOMIS' : 'DPS',
    reference,
    verb,
  }))
}

const AUDIT = `
  CREATE SCHEMA audit;
  CREATE TABLE audit.change (
    id bigserial PRIMARY KEY, xid xid8 NOT NULL, schema text NOT NULL, op text NOT NULL,
    root boolean NOT NULL, changed boolean NOT NULL, reference text
  );

  CREATE FUNCTION audit.reference_of(tbl text, r jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE tbl
      WHEN 'report' THEN r->>'report_reference'
      WHEN 'response' THEN
        (SELECT report_reference FROM public.question q JOIN public.report p ON p.id = q.report_id
          WHERE q.id = (r->>'question_id')::int)
      WHEN 'historical_question' THEN
        (SELECT report_reference FROM public.history h JOIN public.report p ON p.id = h.report_id
          WHERE h.id = (r->>'history_id')::int)
      WHEN 'historical_response' THEN
        (SELECT report_reference FROM public.historical_question q JOIN public.history h ON h.id = q.history_id
          JOIN public.report p ON p.id = h.report_id WHERE q.id = (r->>'historical_question_id')::int)
      ELSE coalesce(
        r->>'incident_case_id',
        (SELECT report_reference FROM public.report WHERE id = (r->>'report_id')::uuid),
        (SELECT incident_case_id::text FROM nomis.incident_questionnaire_hty
          WHERE incident_questionnaire_id = (r->>'incident_questionnaire_id')::bigint))
    END
  $$;

  CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO audit.change (xid, schema, op, root, changed, reference) VALUES (
      pg_current_xact_id(), TG_TABLE_SCHEMA, TG_OP, TG_TABLE_NAME IN ('report', 'incident_cases'),
      TG_OP <> 'UPDATE' OR OLD IS DISTINCT FROM NEW,
      audit.reference_of(TG_TABLE_NAME, CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END));
    RETURN NULL;
  END $$;

  DO $$ DECLARE t record; BEGIN
    FOR t IN SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'nomis') LOOP
      EXECUTE format('CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON %I.%I FOR EACH ROW EXECUTE FUNCTION audit.note()',
        t.schemaname, t.tablename);
    END LOOP;
  END $$`
