-- What the move from NOMIS keeps of itself, in the schema migration: which NOMIS incident is which report, what each run
-- of the migrator did, which prison reports which type where, and who edited what by hand. Outside the publication.
-- One column a line: connectors/postgres/source-schema.ts reads from this file what a database must have.

CREATE SCHEMA migration;

-- NOMIS incident and report, one to one (rule service.mapping). The label is the run that brought it.
CREATE TABLE migration.incident_mapping (
  incident_id varchar(64) NOT NULL,
  nomis_incident_id bigint NOT NULL,
  label varchar(40),
  mapping_type varchar(20) NOT NULL,
  when_created timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT incident_mapping_pk PRIMARY KEY (incident_id),
  CONSTRAINT incident_mapping_nomis_uk UNIQUE (nomis_incident_id)
);

CREATE INDEX incident_mapping_label ON migration.incident_mapping (label, nomis_incident_id);

-- One row for each run of the migrator (rule service.runs).
CREATE TABLE migration.migration_history (
  migration_id varchar(40) NOT NULL,
  when_started timestamptz NOT NULL DEFAULT now(),
  when_ended timestamptz,
  estimated_record_count bigint NOT NULL,
  records_migrated bigint NOT NULL DEFAULT 0,
  records_failed bigint NOT NULL DEFAULT 0,
  migration_type varchar(35) NOT NULL,
  status varchar(20) NOT NULL,
  filter text,
  CONSTRAINT migration_history_pk PRIMARY KEY (migration_id)
);

-- At most one run of a type at a time.
CREATE UNIQUE INDEX migration_history_active ON migration.migration_history (migration_type) WHERE status IN ('STARTED', 'CANCELLED_REQUESTED');

-- What could not be brought over, with the reason as a code and a sentence that names no person; gone once it could.
CREATE TABLE migration.migration_failure (
  nomis_incident_id bigint NOT NULL,
  migration_id varchar(40) NOT NULL,
  code varchar(40) NOT NULL,
  reason text NOT NULL,
  when_failed timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT migration_failure_pk PRIMARY KEY (nomis_incident_id)
);

-- From which day a prison reports a type in DPS, and for how many months NOMIS may then still change its own.
CREATE TABLE migration.rollout (
  prison varchar(20) NOT NULL,
  type varchar(60) NOT NULL,
  dps_from date NOT NULL,
  cut_off_months integer NOT NULL,
  changed_by varchar(120) NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT rollout_pk PRIMARY KEY (prison, type)
);

-- Edits of NOMIS records by hand, after their cut-off: what was there and what is.
CREATE TABLE migration.edit (
  id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  nomis_incident_id bigint NOT NULL,
  edited_by varchar(120) NOT NULL,
  edited_at timestamptz NOT NULL DEFAULT now(),
  before jsonb NOT NULL,
  after jsonb NOT NULL,
  CONSTRAINT edit_pk PRIMARY KEY (id)
);

CREATE INDEX edit_incident ON migration.edit (nomis_incident_id);

-- The last comparison of NOMIS with this database, and where they differ.
CREATE TABLE migration.comparison (
  id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  when_started timestamptz NOT NULL DEFAULT now(),
  when_ended timestamptz,
  compared bigint NOT NULL DEFAULT 0,
  differing bigint NOT NULL DEFAULT 0,
  CONSTRAINT comparison_pk PRIMARY KEY (id)
);

CREATE TABLE migration.difference (
  comparison_id bigint NOT NULL,
  nomis_incident_id bigint NOT NULL,
  prison varchar(20),
  type varchar(60),
  what varchar(60) NOT NULL,
  CONSTRAINT difference_pk PRIMARY KEY (comparison_id, nomis_incident_id)
);
