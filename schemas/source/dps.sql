-- The incident reporting service's own tables, in the schema public: 20 tables, 129 columns (rule dps.tables).
-- Times are London wall time without zone. Codes are text; the constant tables are copies for reporting, never the
-- target of a foreign key.
-- One column a line: connectors/postgres/source-schema.ts reads from this file what a database must have.

CREATE TABLE public.report (
  id uuid NOT NULL,
  report_reference varchar(25) NOT NULL,
  title text NOT NULL,
  description text NOT NULL,
  location varchar(20) NOT NULL,
  type varchar(60) NOT NULL,
  source varchar(5) NOT NULL DEFAULT 'DPS',
  status varchar(60) NOT NULL,
  incident_date_and_time timestamp NOT NULL,
  reported_at timestamp NOT NULL,
  reported_by varchar(120) NOT NULL,
  question_set_id varchar(20),
  created_at timestamp NOT NULL,
  modified_by varchar(120) NOT NULL,
  modified_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  modified_in varchar(5) NOT NULL DEFAULT 'DPS',
  staff_involvement_done boolean DEFAULT true,
  prisoner_involvement_done boolean DEFAULT true,
  duplicated_report_id uuid,
  last_user_action varchar(60),
  CONSTRAINT report_pk PRIMARY KEY (id),
  CONSTRAINT report_reference UNIQUE (report_reference),
  CONSTRAINT original_report_fk FOREIGN KEY (duplicated_report_id) REFERENCES public.report (id) ON DELETE SET NULL
);

-- References of this service begin here, far above those of the legacy system.
CREATE SEQUENCE public.report_sequence START WITH 10000000 OWNED BY public.report.report_reference;

CREATE INDEX report_incident_date_and_time ON public.report (incident_date_and_time);
CREATE INDEX report_reported_at ON public.report (reported_at);
CREATE INDEX report_created_at ON public.report (created_at);
CREATE INDEX report_location ON public.report (location);
CREATE INDEX report_source ON public.report (source);
CREATE INDEX report_status ON public.report (status);
CREATE INDEX report_type ON public.report (type);
CREATE INDEX report_reported_by ON public.report (reported_by);
CREATE INDEX report_last_user_action_status ON public.report (last_user_action, status);
CREATE INDEX report_duplicated_report_id ON public.report (duplicated_report_id);

CREATE TABLE public.status_history (
  id serial NOT NULL,
  report_id uuid NOT NULL,
  status varchar(60) NOT NULL,
  changed_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  changed_by varchar(120) NOT NULL,
  CONSTRAINT status_history_pk PRIMARY KEY (id),
  CONSTRAINT status_history_report_fk FOREIGN KEY (report_id) REFERENCES public.report (id) ON DELETE CASCADE
);

CREATE TABLE public.correction_request (
  id serial NOT NULL,
  report_id uuid NOT NULL,
  description_of_change text NOT NULL,
  correction_requested_at timestamp NOT NULL,
  correction_requested_by varchar(120) NOT NULL,
  sequence integer NOT NULL DEFAULT 0,
  location varchar(20),
  user_action varchar(60),
  original_report_reference varchar(25),
  user_type varchar(60),
  CONSTRAINT correction_request_pk PRIMARY KEY (id),
  CONSTRAINT correction_request_report_fk FOREIGN KEY (report_id) REFERENCES public.report (id) ON DELETE CASCADE
);

CREATE TABLE public.prisoner_involvement (
  id serial NOT NULL,
  report_id uuid NOT NULL,
  prisoner_number varchar(7) NOT NULL,
  prisoner_role varchar(60) NOT NULL,
  outcome varchar(60),
  comment text,
  sequence integer NOT NULL DEFAULT 0,
  first_name varchar(255) NOT NULL,
  last_name varchar(255) NOT NULL,
  CONSTRAINT prisoner_involvement_pk PRIMARY KEY (id),
  CONSTRAINT prisoner_involvement_report_fk FOREIGN KEY (report_id) REFERENCES public.report (id) ON DELETE CASCADE
);

CREATE TABLE public.staff_involvement (
  id serial NOT NULL,
  report_id uuid NOT NULL,
  staff_username varchar(120),
  staff_role varchar(60) NOT NULL,
  comment text,
  sequence integer NOT NULL DEFAULT 0,
  first_name varchar(255) NOT NULL,
  last_name varchar(255) NOT NULL,
  CONSTRAINT staff_involvement_pk PRIMARY KEY (id),
  CONSTRAINT staff_involvement_report_fk FOREIGN KEY (report_id) REFERENCES public.report (id) ON DELETE CASCADE
);

CREATE TABLE public.description_addendum (
  id serial NOT NULL,
  report_id uuid NOT NULL,
  sequence integer NOT NULL,
  text text NOT NULL,
  created_at timestamp NOT NULL,
  created_by varchar(120) NOT NULL,
  first_name varchar(255) NOT NULL,
  last_name varchar(255) NOT NULL,
  CONSTRAINT description_addendum_pk PRIMARY KEY (id),
  CONSTRAINT description_addendum_report_fk FOREIGN KEY (report_id) REFERENCES public.report (id) ON DELETE CASCADE
);

CREATE TABLE public.question (
  id serial NOT NULL,
  report_id uuid NOT NULL,
  sequence integer NOT NULL DEFAULT 0,
  code varchar(60) NOT NULL,
  question text NOT NULL,
  additional_information text,
  label text NOT NULL,
  CONSTRAINT question_pk PRIMARY KEY (id),
  CONSTRAINT question_report_fk FOREIGN KEY (report_id) REFERENCES public.report (id) ON DELETE CASCADE
);

CREATE TABLE public.response (
  id serial NOT NULL,
  question_id integer NOT NULL,
  sequence integer NOT NULL DEFAULT 0,
  response text NOT NULL,
  response_date date,
  additional_information text,
  recorded_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  recorded_by varchar(120) NOT NULL,
  code varchar(60) NOT NULL,
  label text NOT NULL,
  CONSTRAINT response_pk PRIMARY KEY (id),
  CONSTRAINT response_question_fk FOREIGN KEY (question_id) REFERENCES public.question (id) ON DELETE CASCADE
);

-- One row for each change of a report's type; `type` is the one before.
CREATE TABLE public.history (
  id serial NOT NULL,
  report_id uuid NOT NULL,
  type varchar(60) NOT NULL,
  changed_at timestamp NOT NULL,
  changed_by varchar(120) NOT NULL,
  CONSTRAINT history_pk PRIMARY KEY (id),
  CONSTRAINT history_report_fk FOREIGN KEY (report_id) REFERENCES public.report (id) ON DELETE CASCADE
);

CREATE TABLE public.historical_question (
  id serial NOT NULL,
  history_id integer NOT NULL,
  sequence integer NOT NULL DEFAULT 0,
  code varchar(60) NOT NULL,
  question text NOT NULL,
  additional_information text,
  label text NOT NULL,
  CONSTRAINT historical_question_pk PRIMARY KEY (id),
  CONSTRAINT historical_question_history_fk FOREIGN KEY (history_id) REFERENCES public.history (id) ON DELETE CASCADE
);

CREATE TABLE public.historical_response (
  id serial NOT NULL,
  historical_question_id integer NOT NULL,
  sequence integer NOT NULL DEFAULT 0,
  response text NOT NULL,
  response_date date,
  additional_information text,
  recorded_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  recorded_by varchar(120) NOT NULL,
  code varchar(60) NOT NULL,
  label text NOT NULL,
  CONSTRAINT historical_response_pk PRIMARY KEY (id),
  CONSTRAINT historical_response_historical_question_fk FOREIGN KEY (historical_question_id) REFERENCES public.historical_question (id) ON DELETE CASCADE
);

-- Without these each removal of a parent would read its children's whole tables.
CREATE INDEX status_history_report_id ON public.status_history (report_id);
CREATE INDEX correction_request_report_id ON public.correction_request (report_id);
CREATE INDEX prisoner_involvement_report_id ON public.prisoner_involvement (report_id);
CREATE INDEX staff_involvement_report_id ON public.staff_involvement (report_id);
CREATE INDEX description_addendum_report_id ON public.description_addendum (report_id);
CREATE INDEX question_report_id ON public.question (report_id);
CREATE INDEX history_report_id ON public.history (report_id);
CREATE INDEX response_question_id ON public.response (question_id);
CREATE INDEX historical_question_history_id ON public.historical_question (history_id);
CREATE INDEX historical_response_historical_question_id ON public.historical_response (historical_question_id);
CREATE INDEX prisoner_involvement_prisoner_number ON public.prisoner_involvement (prisoner_number);

-- `sequence` in the constant tables is the order of display and changes freely.
CREATE TABLE public.constant_type (
  code varchar(60) NOT NULL,
  sequence integer NOT NULL,
  description varchar(255) NOT NULL,
  active boolean DEFAULT true,
  family_code varchar(60) NOT NULL,
  CONSTRAINT constant_type_pk PRIMARY KEY (code)
);

CREATE TABLE public.constant_type_family (
  code varchar(60) NOT NULL,
  sequence integer NOT NULL,
  description varchar(255) NOT NULL,
  CONSTRAINT constant_type_family_pk PRIMARY KEY (code)
);

CREATE TABLE public.constant_status (
  code varchar(60) NOT NULL,
  sequence integer NOT NULL,
  description varchar(60) NOT NULL,
  ignore_downstream boolean NOT NULL DEFAULT false,
  definition varchar(255) NOT NULL,
  CONSTRAINT constant_status_pk PRIMARY KEY (code)
);

CREATE TABLE public.constant_prisoner_role (
  code varchar(60) NOT NULL,
  sequence integer NOT NULL,
  description varchar(60) NOT NULL,
  CONSTRAINT constant_prisoner_role_pk PRIMARY KEY (code)
);

CREATE TABLE public.constant_prisoner_outcome (
  code varchar(60) NOT NULL,
  sequence integer NOT NULL,
  description varchar(60) NOT NULL,
  CONSTRAINT constant_prisoner_outcome_pk PRIMARY KEY (code)
);

CREATE TABLE public.constant_staff_role (
  code varchar(60) NOT NULL,
  sequence integer NOT NULL,
  description varchar(60) NOT NULL,
  CONSTRAINT constant_staff_role_pk PRIMARY KEY (code)
);

CREATE TABLE public.constant_user_action (
  code varchar(60) NOT NULL,
  sequence integer NOT NULL,
  description varchar(60) NOT NULL,
  CONSTRAINT constant_user_action_pk PRIMARY KEY (code)
);

CREATE TABLE public.constant_user_type (
  code varchar(60) NOT NULL,
  sequence integer NOT NULL,
  description varchar(60) NOT NULL,
  CONSTRAINT constant_user_type_pk PRIMARY KEY (code)
);

CREATE TABLE public.analytical_marker (
  response_code varchar(60) NOT NULL,
  marker_type varchar(60) NOT NULL,
  CONSTRAINT analytical_marker_pk PRIMARY KEY (response_code, marker_type)
);
