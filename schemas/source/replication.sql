-- Full replica identity on every captured table: before-images with every column, foreign keys on deletes, and whole
-- rows when a long value did not change.

ALTER TABLE public.report REPLICA IDENTITY FULL;
ALTER TABLE public.status_history REPLICA IDENTITY FULL;
ALTER TABLE public.correction_request REPLICA IDENTITY FULL;
ALTER TABLE public.prisoner_involvement REPLICA IDENTITY FULL;
ALTER TABLE public.staff_involvement REPLICA IDENTITY FULL;
ALTER TABLE public.description_addendum REPLICA IDENTITY FULL;
ALTER TABLE public.question REPLICA IDENTITY FULL;
ALTER TABLE public.response REPLICA IDENTITY FULL;
ALTER TABLE public.history REPLICA IDENTITY FULL;
ALTER TABLE public.historical_question REPLICA IDENTITY FULL;
ALTER TABLE public.historical_response REPLICA IDENTITY FULL;
ALTER TABLE public.constant_type REPLICA IDENTITY FULL;
ALTER TABLE public.constant_type_family REPLICA IDENTITY FULL;
ALTER TABLE public.constant_status REPLICA IDENTITY FULL;
ALTER TABLE public.constant_prisoner_role REPLICA IDENTITY FULL;
ALTER TABLE public.constant_prisoner_outcome REPLICA IDENTITY FULL;
ALTER TABLE public.constant_staff_role REPLICA IDENTITY FULL;
ALTER TABLE public.constant_user_action REPLICA IDENTITY FULL;
ALTER TABLE public.constant_user_type REPLICA IDENTITY FULL;
ALTER TABLE public.analytical_marker REPLICA IDENTITY FULL;
ALTER TABLE nomis.incident_statuses REPLICA IDENTITY FULL;
ALTER TABLE nomis.questionnaires REPLICA IDENTITY FULL;
ALTER TABLE nomis.questionnaire_questions REPLICA IDENTITY FULL;
ALTER TABLE nomis.questionnaire_answers REPLICA IDENTITY FULL;
ALTER TABLE nomis.questionnaire_roles REPLICA IDENTITY FULL;
ALTER TABLE nomis.incident_cases REPLICA IDENTITY FULL;
ALTER TABLE nomis.incident_case_parties REPLICA IDENTITY FULL;
ALTER TABLE nomis.incident_case_questions REPLICA IDENTITY FULL;
ALTER TABLE nomis.incident_case_responses REPLICA IDENTITY FULL;
ALTER TABLE nomis.incident_case_requirements REPLICA IDENTITY FULL;
ALTER TABLE nomis.incident_questionnaire_hty REPLICA IDENTITY FULL;
ALTER TABLE nomis.incident_que_question_hty REPLICA IDENTITY FULL;
ALTER TABLE nomis.incident_que_response_hty REPLICA IDENTITY FULL;
