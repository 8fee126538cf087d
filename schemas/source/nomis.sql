-- The legacy NOMIS incident tables (rule nomis.tables), in the schema nomis. Each column keeps its name and order; the audit
-- columns follow, then what the migration's payload brings for that row (names, texts and usernames that in NOMIS lie
-- in tables outside this schema), so that each row is understood by itself. Foreign keys to such tables are left out.
-- NUMBER up to 9 digits is integer, else bigint; DATE is timestamp(0), TIMESTAMP(9) is timestamp(6).
-- One column a line: connectors/postgres/source-schema.ts reads from this file what a database must have.

CREATE SCHEMA nomis;

CREATE TABLE nomis.incident_statuses (
  code varchar(12) NOT NULL,
  description varchar(40) NOT NULL,
  list_seq integer DEFAULT 1,
  active_flag varchar(1) NOT NULL DEFAULT 'Y',
  expiry_date timestamp(0),
  standard_user_flag varchar(1) NOT NULL DEFAULT 'N',
  enhanced_user_flag varchar(1) NOT NULL DEFAULT 'N',
  create_datetime timestamp(6) NOT NULL DEFAULT LOCALTIMESTAMP,
  create_user_id varchar(32) NOT NULL DEFAULT CURRENT_USER,
  modify_datetime timestamp(6),
  modify_user_id varchar(32),
  audit_timestamp timestamp(6),
  audit_user_id varchar(32),
  audit_module_name varchar(65),
  audit_client_user_id varchar(64),
  audit_client_ip_address varchar(39),
  audit_client_workstation_name varchar(64),
  audit_additional_info varchar(256),
  CONSTRAINT incident_statuses_pk PRIMARY KEY (code)
);

-- One for each incident type: the code is the type.
CREATE TABLE nomis.questionnaires (
  questionnaire_id bigint NOT NULL,
  questionnaire_category varchar(12) NOT NULL,
  code varchar(12) NOT NULL,
  active_flag varchar(1) NOT NULL DEFAULT 'Y',
  description varchar(120),
  list_seq integer NOT NULL DEFAULT 1,
  expiry_date timestamp(0),
  create_datetime timestamp(6) NOT NULL DEFAULT LOCALTIMESTAMP,
  create_user_id varchar(32) NOT NULL DEFAULT CURRENT_USER,
  modify_datetime timestamp(6),
  modify_user_id varchar(32),
  audit_timestamp timestamp(6),
  audit_user_id varchar(32),
  audit_module_name varchar(65),
  audit_client_user_id varchar(64),
  audit_client_ip_address varchar(39),
  audit_client_workstation_name varchar(64),
  audit_additional_info varchar(256),
  CONSTRAINT questionnaires_pk PRIMARY KEY (questionnaire_id),
  CONSTRAINT questionnaires_uk UNIQUE (questionnaire_category, code)
);

CREATE TABLE nomis.questionnaire_questions (
  questionnaire_que_id bigint NOT NULL,
  questionnaire_id bigint NOT NULL,
  que_seq integer NOT NULL,
  description varchar(120) NOT NULL,
  list_seq integer NOT NULL DEFAULT 1,
  active_flag varchar(1) NOT NULL DEFAULT 'Y',
  expiry_date timestamp(0),
  multiple_answer_flag varchar(1) NOT NULL DEFAULT 'N',
  create_datetime timestamp(6) NOT NULL DEFAULT LOCALTIMESTAMP,
  create_user_id varchar(32) NOT NULL DEFAULT CURRENT_USER,
  modify_datetime timestamp(6),
  modify_user_id varchar(32),
  audit_timestamp timestamp(6),
  audit_user_id varchar(32),
  audit_module_name varchar(65),
  audit_client_user_id varchar(64),
  audit_client_ip_address varchar(39),
  audit_client_workstation_name varchar(64),
  audit_additional_info varchar(256),
  CONSTRAINT questionnaire_questions_pk PRIMARY KEY (questionnaire_que_id),
  CONSTRAINT questionnaire_questions_questionnaire_fk FOREIGN KEY (questionnaire_id) REFERENCES nomis.questionnaires (questionnaire_id)
);

CREATE TABLE nomis.questionnaire_answers (
  questionnaire_ans_id bigint NOT NULL,
  questionnaire_que_id bigint NOT NULL,
  next_questionnaire_que_id bigint,
  ans_seq integer NOT NULL,
  description varchar(80) NOT NULL,
  list_seq integer NOT NULL DEFAULT 1,
  active_flag varchar(1) NOT NULL DEFAULT 'Y',
  expiry_date timestamp(0),
  date_required_flag varchar(1) NOT NULL DEFAULT 'N',
  comment_required_flag varchar(1) NOT NULL DEFAULT 'N',
  score integer,
  create_datetime timestamp(6) NOT NULL DEFAULT LOCALTIMESTAMP,
  create_user_id varchar(32) NOT NULL DEFAULT CURRENT_USER,
  modify_datetime timestamp(6),
  modify_user_id varchar(32),
  audit_timestamp timestamp(6),
  audit_user_id varchar(32),
  audit_module_name varchar(65),
  audit_client_user_id varchar(64),
  audit_client_ip_address varchar(39),
  audit_client_workstation_name varchar(64),
  audit_additional_info varchar(256),
  CONSTRAINT questionnaire_answers_pk PRIMARY KEY (questionnaire_ans_id),
  CONSTRAINT questionnaire_answers_question_fk FOREIGN KEY (questionnaire_que_id) REFERENCES nomis.questionnaire_questions (questionnaire_que_id),
  CONSTRAINT questionnaire_answers_next_question_fk FOREIGN KEY (next_questionnaire_que_id) REFERENCES nomis.questionnaire_questions (questionnaire_que_id)
);

CREATE TABLE nomis.questionnaire_roles (
  questionnaire_id bigint NOT NULL,
  participation_role varchar(12) NOT NULL,
  single_role_flag varchar(1) NOT NULL DEFAULT 'N',
  active_flag varchar(1) NOT NULL DEFAULT 'Y',
  expiry_date timestamp(0),
  list_seq integer NOT NULL DEFAULT 1,
  create_datetime timestamp(6) NOT NULL DEFAULT LOCALTIMESTAMP,
  create_user_id varchar(32) NOT NULL DEFAULT CURRENT_USER,
  modify_datetime timestamp(6),
  modify_user_id varchar(32),
  audit_timestamp timestamp(6),
  audit_user_id varchar(32),
  audit_module_name varchar(65),
  audit_client_user_id varchar(64),
  audit_client_ip_address varchar(39),
  audit_client_workstation_name varchar(64),
  audit_additional_info varchar(256),
  CONSTRAINT questionnaire_roles_pk PRIMARY KEY (questionnaire_id, participation_role),
  CONSTRAINT questionnaire_roles_questionnaire_fk FOREIGN KEY (questionnaire_id) REFERENCES nomis.questionnaires (questionnaire_id)
);

-- staff_username is the reporter's (reported_staff_id). A number from 10 000 000 on is a copy of a report in public.
CREATE TABLE nomis.incident_cases (
  incident_case_id bigint NOT NULL,
  reported_staff_id bigint NOT NULL,
  incident_date timestamp(0) NOT NULL,
  incident_time timestamp(0) NOT NULL,
  incident_status varchar(12) NOT NULL,
  response_locked_flag varchar(1) NOT NULL DEFAULT 'N',
  incident_details varchar(4000),
  report_date timestamp(0) NOT NULL,
  report_time timestamp(0) NOT NULL,
  agy_loc_id varchar(6),
  incident_title varchar(240),
  incident_type varchar(12) NOT NULL,
  questionnaire_id bigint,
  follow_up_date timestamp(0),
  create_datetime timestamp(6) NOT NULL DEFAULT LOCALTIMESTAMP,
  create_user_id varchar(32) NOT NULL DEFAULT CURRENT_USER,
  modify_datetime timestamp(6),
  modify_user_id varchar(32),
  audit_timestamp timestamp(6),
  audit_user_id varchar(32),
  audit_module_name varchar(65),
  audit_client_user_id varchar(64),
  audit_client_ip_address varchar(39),
  audit_client_workstation_name varchar(64),
  audit_additional_info varchar(256),
  staff_username varchar(120),
  CONSTRAINT incident_cases_pk PRIMARY KEY (incident_case_id),
  CONSTRAINT incident_cases_status_fk FOREIGN KEY (incident_status) REFERENCES nomis.incident_statuses (code),
  CONSTRAINT incident_cases_questionnaire_fk FOREIGN KEY (questionnaire_id) REFERENCES nomis.questionnaires (questionnaire_id)
);

-- Staff and offenders share one sequence; a party without staff_id is an offender.
CREATE TABLE nomis.incident_case_parties (
  incident_case_id bigint NOT NULL,
  party_seq integer NOT NULL DEFAULT 1,
  participation_role varchar(12) NOT NULL,
  offender_book_id bigint,
  staff_id bigint,
  person_id bigint,
  comment_text varchar(240),
  outcome_code varchar(12),
  record_staff_id bigint,
  create_datetime timestamp(6) NOT NULL DEFAULT LOCALTIMESTAMP,
  create_user_id varchar(32) NOT NULL DEFAULT CURRENT_USER,
  modify_datetime timestamp(6),
  modify_user_id varchar(32),
  audit_timestamp timestamp(6),
  audit_user_id varchar(32),
  audit_module_name varchar(65),
  audit_client_user_id varchar(64),
  audit_client_ip_address varchar(39),
  audit_client_workstation_name varchar(64),
  audit_additional_info varchar(256),
  offender_no varchar(10),
  staff_username varchar(120),
  first_name varchar(255),
  last_name varchar(255),
  CONSTRAINT incident_case_parties_pk PRIMARY KEY (incident_case_id, party_seq),
  CONSTRAINT incident_case_parties_case_fk FOREIGN KEY (incident_case_id) REFERENCES nomis.incident_cases (incident_case_id)
);

CREATE TABLE nomis.incident_case_questions (
  incident_case_id bigint NOT NULL,
  question_seq integer NOT NULL,
  questionnaire_que_id bigint NOT NULL,
  create_datetime timestamp(6) NOT NULL DEFAULT LOCALTIMESTAMP,
  create_user_id varchar(32) NOT NULL DEFAULT CURRENT_USER,
  modify_datetime timestamp(6),
  modify_user_id varchar(32),
  audit_timestamp timestamp(6),
  audit_user_id varchar(32),
  audit_module_name varchar(65),
  audit_client_user_id varchar(64),
  audit_client_ip_address varchar(39),
  audit_client_workstation_name varchar(64),
  audit_additional_info varchar(256),
  question text,
  CONSTRAINT incident_case_questions_pk PRIMARY KEY (incident_case_id, question_seq),
  CONSTRAINT incident_case_questions_case_fk FOREIGN KEY (incident_case_id) REFERENCES nomis.incident_cases (incident_case_id)
);

-- response_seq runs across all questions of the incident. recorded_by is the username of record_staff_id.
CREATE TABLE nomis.incident_case_responses (
  incident_case_id bigint NOT NULL,
  question_seq integer NOT NULL,
  response_seq integer NOT NULL,
  response_date timestamp(0),
  response_comment_text varchar(240),
  record_staff_id bigint NOT NULL,
  questionnaire_ans_id bigint,
  create_datetime timestamp(6) NOT NULL DEFAULT LOCALTIMESTAMP,
  create_user_id varchar(32) NOT NULL DEFAULT CURRENT_USER,
  modify_datetime timestamp(6),
  modify_user_id varchar(32),
  audit_timestamp timestamp(6),
  audit_user_id varchar(32),
  audit_module_name varchar(65),
  audit_client_user_id varchar(64),
  audit_client_ip_address varchar(39),
  audit_client_workstation_name varchar(64),
  audit_additional_info varchar(256),
  answer text,
  recorded_by varchar(120),
  CONSTRAINT incident_case_responses_pk PRIMARY KEY (incident_case_id, question_seq, response_seq),
  CONSTRAINT incident_case_responses_question_fk FOREIGN KEY (incident_case_id, question_seq) REFERENCES nomis.incident_case_questions (incident_case_id, question_seq)
);

CREATE TABLE nomis.incident_case_requirements (
  incident_case_id bigint NOT NULL,
  requirement_seq integer NOT NULL DEFAULT 1,
  record_staff_id bigint NOT NULL,
  record_date timestamp(0) NOT NULL DEFAULT LOCALTIMESTAMP,
  comment_text varchar(240),
  agy_loc_id varchar(6),
  create_datetime timestamp(6) NOT NULL DEFAULT LOCALTIMESTAMP,
  create_user_id varchar(32) NOT NULL DEFAULT CURRENT_USER,
  modify_datetime timestamp(6),
  modify_user_id varchar(32),
  audit_timestamp timestamp(6),
  audit_user_id varchar(32),
  audit_module_name varchar(65),
  audit_client_user_id varchar(64),
  audit_client_ip_address varchar(39),
  audit_client_workstation_name varchar(64),
  audit_additional_info varchar(256),
  recorded_by varchar(120),
  CONSTRAINT incident_case_requirements_pk PRIMARY KEY (incident_case_id, requirement_seq),
  CONSTRAINT incident_case_requirements_case_fk FOREIGN KEY (incident_case_id) REFERENCES nomis.incident_cases (incident_case_id)
);

CREATE SEQUENCE nomis.incident_questionnaire_id;

-- One row for each change of type; `type` is the one before, staff_username that of change_staff_id.
CREATE TABLE nomis.incident_questionnaire_hty (
  incident_questionnaire_id bigint NOT NULL DEFAULT nextval('nomis.incident_questionnaire_id'),
  incident_case_id bigint NOT NULL,
  questionnaire_id bigint NOT NULL,
  change_date timestamp(0) NOT NULL,
  change_staff_id bigint NOT NULL,
  create_datetime timestamp(6) NOT NULL DEFAULT LOCALTIMESTAMP,
  create_user_id varchar(32) NOT NULL DEFAULT CURRENT_USER,
  modify_datetime timestamp(6),
  modify_user_id varchar(32),
  audit_timestamp timestamp(6),
  audit_user_id varchar(32),
  audit_module_name varchar(65),
  audit_client_user_id varchar(64),
  audit_client_ip_address varchar(39),
  audit_client_workstation_name varchar(64),
  audit_additional_info varchar(256),
  type varchar(12),
  staff_username varchar(120),
  CONSTRAINT incident_questionnaire_hty_pk PRIMARY KEY (incident_questionnaire_id),
  CONSTRAINT incident_questionnaire_hty_case_fk FOREIGN KEY (incident_case_id) REFERENCES nomis.incident_cases (incident_case_id),
  CONSTRAINT incident_questionnaire_hty_questionnaire_fk FOREIGN KEY (questionnaire_id) REFERENCES nomis.questionnaires (questionnaire_id)
);

CREATE TABLE nomis.incident_que_question_hty (
  incident_questionnaire_id bigint NOT NULL,
  question_seq integer NOT NULL,
  questionnaire_que_id bigint NOT NULL,
  create_datetime timestamp(6) NOT NULL DEFAULT LOCALTIMESTAMP,
  create_user_id varchar(32) NOT NULL DEFAULT CURRENT_USER,
  modify_datetime timestamp(6),
  modify_user_id varchar(32),
  audit_timestamp timestamp(6),
  audit_user_id varchar(32),
  audit_module_name varchar(65),
  audit_client_user_id varchar(64),
  audit_client_ip_address varchar(39),
  audit_client_workstation_name varchar(64),
  audit_additional_info varchar(256),
  question text,
  CONSTRAINT incident_que_question_hty_pk PRIMARY KEY (incident_questionnaire_id, question_seq),
  CONSTRAINT incident_que_question_hty_history_fk FOREIGN KEY (incident_questionnaire_id) REFERENCES nomis.incident_questionnaire_hty (incident_questionnaire_id),
  CONSTRAINT incident_que_question_hty_question_fk FOREIGN KEY (questionnaire_que_id) REFERENCES nomis.questionnaire_questions (questionnaire_que_id)
);

CREATE TABLE nomis.incident_que_response_hty (
  incident_questionnaire_id bigint NOT NULL,
  question_seq integer NOT NULL,
  response_seq integer NOT NULL,
  response_date timestamp(0),
  response_comment_text varchar(240),
  record_staff_id bigint NOT NULL,
  questionnaire_ans_id bigint,
  create_datetime timestamp(6) NOT NULL DEFAULT LOCALTIMESTAMP,
  create_user_id varchar(32) NOT NULL DEFAULT CURRENT_USER,
  modify_datetime timestamp(6),
  modify_user_id varchar(32),
  audit_timestamp timestamp(6),
  audit_user_id varchar(32),
  audit_module_name varchar(65),
  audit_client_user_id varchar(64),
  audit_client_ip_address varchar(39),
  audit_client_workstation_name varchar(64),
  audit_additional_info varchar(256),
  answer text,
  recorded_by varchar(120),
  CONSTRAINT incident_que_response_hty_pk PRIMARY KEY (incident_questionnaire_id, question_seq, response_seq),
  CONSTRAINT incident_que_response_hty_question_fk FOREIGN KEY (incident_questionnaire_id, question_seq) REFERENCES nomis.incident_que_question_hty (incident_questionnaire_id, question_seq),
  CONSTRAINT incident_que_response_hty_answer_fk FOREIGN KEY (questionnaire_ans_id) REFERENCES nomis.questionnaire_answers (questionnaire_ans_id)
);

CREATE INDEX questionnaire_questions_questionnaire ON nomis.questionnaire_questions (questionnaire_id);
CREATE INDEX questionnaire_answers_question ON nomis.questionnaire_answers (questionnaire_que_id);
CREATE INDEX questionnaire_answers_next ON nomis.questionnaire_answers (next_questionnaire_que_id);
CREATE INDEX incident_questionnaire_hty_case ON nomis.incident_questionnaire_hty (incident_case_id);
CREATE INDEX incident_case_parties_offender ON nomis.incident_case_parties (offender_no);

-- The statuses that NOMIS ships with (rule nomis.statuses).
INSERT INTO nomis.incident_statuses (code, description, list_seq, create_datetime, create_user_id) VALUES
  ('AWAN', 'Awaiting Analysis', 1, '2005-01-01 00:00:00', 'SYSTEM'),
  ('INAN', 'In Analysis', 2, '2005-01-01 00:00:00', 'SYSTEM'),
  ('INREQ', 'Information Required', 3, '2005-01-01 00:00:00', 'SYSTEM'),
  ('INAME', 'Information Amended', 4, '2005-01-01 00:00:00', 'SYSTEM'),
  ('CLOSE', 'Closed', 5, '2005-01-01 00:00:00', 'SYSTEM'),
  ('DUP', 'Duplicate (Created In Error)', 6, '2005-01-01 00:00:00', 'SYSTEM'),
  ('PIU', 'Post Incident Update', 7, '2005-01-01 00:00:00', 'SYSTEM'),
  ('IUP', 'Incident Updated', 8, '2005-01-01 00:00:00', 'SYSTEM');
