/**
 * Which reports speak for their incident, and how many of those there are: both are kept with the rows, in the
 * transaction that changes them, so that a reader neither joins the two models nor counts them.
 */

/**
 * After the reports of a write: those of NOMIS that DPS has taken over, or has given back. An incident's reports of both
 * models come by one partition, so no other writer has a say in it. OFFSET keeps PostgreSQL from hashing every report of
 * DPS for a few.
 */
export const HIDE = `
  UPDATE incidents_report n SET hidden = NOT n.hidden
  FROM (SELECT DISTINCT reference FROM staged_report) s
  WHERE n.reference = s.reference AND n.source = 'NOMIS' AND n.hidden <> EXISTS (
    SELECT FROM incidents_report d WHERE d.reference = n.reference AND d.source = 'DPS' OFFSET 0)`

const KEY = '"partition", location, type, status, created_in'

/**
 * Triggers, because they alone see which rows a merge has really changed, from what to what: a count that is added up from
 * that is the table's. The partition is part of the key so that writers of different partitions do not wait for each
 * other. Names are made out of the table's schema, which changes when a store takes the place of another.
 */
export const REPORT_COUNTS = `
  CREATE TABLE incidents_report_count (
    "partition" integer NOT NULL, location text, type text NOT NULL, status text NOT NULL, created_in text NOT NULL,
    reports integer NOT NULL, UNIQUE NULLS NOT DISTINCT (${KEY})) WITH (fillfactor = 50);
  COMMENT ON TABLE incidents_report_count IS
    'How many reports speak for their incident, by what they are most asked for.';
  CREATE FUNCTION incidents_count_reports() RETURNS trigger LANGUAGE plpgsql AS $function$
  BEGIN
    -- a merge fires for INSERT and UPDATE, whichever there was
    IF TG_OP <> 'DELETE' THEN
      IF NOT EXISTS (SELECT FROM came) THEN RETURN NULL; END IF;
    END IF;
    EXECUTE format($statement$
      INSERT INTO %I.incidents_report_count AS c (${KEY}, reports)
      SELECT "partition", location, type, status, created_in, sum(change) FROM (%s) r
      WHERE NOT hidden GROUP BY 1, 2, 3, 4, 5 HAVING sum(change) <> 0 ORDER BY 1, 2, 3, 4, 5
      ON CONFLICT (${KEY}) DO UPDATE SET reports = c.reports + excluded.reports$statement$,
      TG_TABLE_SCHEMA,
      CASE TG_OP
        WHEN 'INSERT' THEN 'SELECT *, 1 AS change FROM came'
        WHEN 'DELETE' THEN 'SELECT *, -1 AS change FROM went'
        ELSE 'SELECT *, 1 AS change FROM came UNION ALL SELECT *, -1 FROM went'
      END);
    RETURN NULL;
  END $function$;
  CREATE TRIGGER count_came AFTER INSERT ON incidents_report
    REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION incidents_count_reports();
  CREATE TRIGGER count_changed AFTER UPDATE ON incidents_report
    REFERENCING OLD TABLE AS went NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION incidents_count_reports();
  CREATE TRIGGER count_went AFTER DELETE ON incidents_report
    REFERENCING OLD TABLE AS went FOR EACH STATEMENT EXECUTE FUNCTION incidents_count_reports()`
