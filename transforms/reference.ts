/**
 * The codes of both models as rows of their own. They belong to no incident, and no rule reads them: what a report's
 * code means is in codes.ts, so a code that is inactive or not here yet refuses nothing (rule dps.late-codes).
 */
import type { EntityRow } from '../core/incident.ts'
import type { ReferenceCode } from '../schemas/types.ts'
import {
  key,
  optionalBoolean,
  optionalDate,
  optionalInteger,
  optionallyDecoded,
  optionalText,
  text,
  type Cells,
} from './cells.ts'
import { NOMIS_CODES, YES_NO } from './codes.ts'
import { rowId } from './identity.ts'
import { upsert, type Rule } from './rule.ts'

type Given = Partial<ReferenceCode> & Pick<ReferenceCode, 'code'>

/** A table of codes, which are its primary key unless `columns` says another. */
function codes(
  table: string,
  domain: string,
  read: (source: Cells) => Given,
  columns: readonly string[] = ['code'],
): Rule {
  const model = table.startsWith('nomis.') ? 'NOMIS' : 'DPS'
  return {
    table,
    key: columns,
    shapedBy: null,
    map: (source): EntityRow[] => {
      const sourceKey = key(source, columns)
      const common = { source: model, systemOfRecord: model, sourceTable: table, sourceKey, domain }
      return [upsert('ReferenceCode', { id: rowId(table, sourceKey), ...common, ...NOTHING, ...read(source) })]
    },
  }
}

/** What most tables of codes do not say. */
const NOTHING = {
  parentCode: null,
  unifiedCode: null,
  typeRaw: null,
  category: null,
  description: null,
  definition: null,
  sequence: null,
  active: null,
  expiryDate: null,
  ignoreDownstream: null,
  standardUser: null,
  enhancedUser: null,
  multipleAnswers: null,
  nextCode: null,
  dateRequired: null,
  commentRequired: null,
  score: null,
  singleRole: null,
} as const satisfies Partial<ReferenceCode>

export const REFERENCE_RULES: readonly Rule[] = [
  codes('public.constant_type', 'type', (source) => ({
    ...constant(source),
    active: optionalBoolean(source, 'active'),
    parentCode: optionalText(source, 'family_code'),
  })),
  codes('public.constant_type_family', 'typeFamily', constant),
  codes('public.constant_status', 'status', (source) => ({
    ...constant(source),
    ignoreDownstream: optionalBoolean(source, 'ignore_downstream'),
    definition: optionalText(source, 'definition'),
  })),
  codes('public.constant_prisoner_role', 'prisonerRole', constant),
  codes('public.constant_prisoner_outcome', 'prisonerOutcome', constant),
  codes('public.constant_staff_role', 'staffRole', constant),
  codes('public.constant_user_action', 'userAction', constant),
  codes('public.constant_user_type', 'userType', constant),
  codes('public.analytical_marker', 'analyticalMarker', marker, ['response_code', 'marker_type']),
  codes('nomis.incident_statuses', 'nomis.status', nomisStatus),
  codes('nomis.questionnaires', 'nomis.questionnaire', questionnaire, ['questionnaire_id']),
  codes('nomis.questionnaire_questions', 'nomis.question', questionOfSet, ['questionnaire_que_id']),
  codes('nomis.questionnaire_answers', 'nomis.answer', answerOfSet, ['questionnaire_ans_id']),
  codes('nomis.questionnaire_roles', 'nomis.role', roleOfSet, ['questionnaire_id', 'participation_role']),
]

function constant(source: Cells) {
  return {
    code: text(source, 'code'),
    description: optionalText(source, 'description'),
    sequence: optionalInteger(source, 'sequence'),
  }
}

function marker(source: Cells): Given {
  return { code: text(source, 'response_code'), parentCode: text(source, 'marker_type') }
}

function nomisStatus(source: Cells): Given {
  const code = text(source, 'code')
  return {
    code,
    unifiedCode: NOMIS_CODES.statuses.get(code)?.status ?? null,
    description: optionalText(source, 'description'),
    sequence: optionalInteger(source, 'list_seq'),
    standardUser: flag(source, 'standard_user_flag'),
    enhancedUser: flag(source, 'enhanced_user_flag'),
    ...period(source),
  }
}

/** One for each type: its code is the type. */
function questionnaire(source: Cells): Given {
  const typeRaw = text(source, 'code')
  return {
    code: text(source, 'questionnaire_id'),
    unifiedCode: NOMIS_CODES.types.get(typeRaw)?.type ?? null,
    typeRaw,
    category: optionalText(source, 'questionnaire_category'),
    description: optionalText(source, 'description'),
    sequence: optionalInteger(source, 'list_seq'),
    ...period(source),
  }
}

function questionOfSet(source: Cells): Given {
  return {
    code: text(source, 'questionnaire_que_id'),
    parentCode: text(source, 'questionnaire_id'),
    description: optionalText(source, 'description'),
    sequence: optionalInteger(source, 'que_seq'),
    multipleAnswers: flag(source, 'multiple_answer_flag'),
    ...period(source),
  }
}

function answerOfSet(source: Cells): Given {
  return {
    code: text(source, 'questionnaire_ans_id'),
    parentCode: text(source, 'questionnaire_que_id'),
    nextCode: optionalText(source, 'next_questionnaire_que_id'),
    description: optionalText(source, 'description'),
    sequence: optionalInteger(source, 'ans_seq'),
    dateRequired: flag(source, 'date_required_flag'),
    commentRequired: flag(source, 'comment_required_flag'),
    score: optionalInteger(source, 'score'),
    ...period(source),
  }
}

/** Which roles prisoners may have in incidents of the type. */
function roleOfSet(source: Cells): Given {
  const code = text(source, 'participation_role')
  return {
    code,
    parentCode: text(source, 'questionnaire_id'),
    unifiedCode: NOMIS_CODES.prisonerRoles.get(code) ?? null,
    sequence: optionalInteger(source, 'list_seq'),
    singleRole: flag(source, 'single_role_flag'),
    ...period(source),
  }
}

function period(source: Cells) {
  return { active: flag(source, 'active_flag'), expiryDate: optionalDate(source, 'expiry_date') }
}

function flag(source: Cells, column: string): boolean | null {
  return optionallyDecoded(source, column, YES_NO)
}
