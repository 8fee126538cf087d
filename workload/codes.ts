/**
 * The codes of both models as pairs of DPS and NOMIS (docs/rules.md, Codes of both models). The generator keeps its own table, so that what
 * `transforms` makes of the rows can be checked against it.
 */

export const TYPES: readonly (readonly [dps: string, nomis: string])[] = [
  ['ABSCOND_1', 'ABSCOND'],
  ['ASSAULT_1', 'ASSAULT'],
  ['ASSAULT_2', 'ASSAULTS'],
  ['ASSAULT_3', 'ASSAULTS1'],
  ['ASSAULT_4', 'ASSAULTS2'],
  ['ASSAULT_5', 'ASSAULTS3'],
  ['ATTEMPTED_ESCAPE_FROM_ESCORT_1', 'ATT_ESC_E'],
  ['ATTEMPTED_ESCAPE_FROM_PRISON_1', 'ATT_ESCAPE'],
  ['BARRICADE_1', 'BARRICADE'],
  ['BOMB_1', 'BOMB'],
  ['BREACH_OF_SECURITY_1', 'BREACH'],
  ['BC_DISRUPT_3RD_PTY_1', 'DIS_3RD_PTY'],
  ['BC_FUEL_SHORTAGE_1', 'FUELSHORTAGE'],
  ['BC_LOSS_ACCESS_EGRESS_1', 'LOSS_EGRESS'],
  ['BC_LOSS_COMMS_1', 'LOSS_COMMS'],
  ['BC_LOSS_UTILS_1', 'LOSS_UTILS'],
  ['BC_SERV_WEATHER_1', 'SERV_WEATHER'],
  ['BC_STAFF_SHORTAGES_1', 'STF_SHORTAGE'],
  ['BC_WIDESPREAD_ILLNESS_1', 'WSPR_ILLNESS'],
  ['CLOSE_DOWN_SEARCH_1', 'CLOSE_DOWN'],
  ['DEATH_OTHER_1', 'DEATH_NI'],
  ['DEATH_PRISONER_1', 'DEATH'],
  ['DAMAGE_1', 'DAMAGE'],
  ['DIRTY_PROTEST_1', 'DIRTYPROTEST'],
  ['DISORDER_1', 'DISORDER'],
  ['DISORDER_2', 'DISORDER1'],
  ['DRONE_SIGHTING_1', 'DRONE'],
  ['DRONE_SIGHTING_2', 'DRONE1'],
  ['DRONE_SIGHTING_3', 'DRONE2'],
  ['DRUGS_1', 'DRUGS'],
  ['ESCAPE_FROM_ESCORT_1', 'ESCAPE_ESC'],
  ['ESCAPE_FROM_PRISON_1', 'ESCAPE_EST'],
  ['FIND_1', 'FINDS'],
  ['FIND_2', 'FIND'],
  ['FIND_3', 'FIND1'],
  ['FIND_4', 'FIND0322'],
  ['FIND_5', 'FINDS1'],
  ['FIND_6', 'FIND0422'],
  ['FIRE_1', 'FIRE'],
  ['FIREARM_1', 'FIREARM_ETC'],
  ['FOOD_REFUSAL_1', 'FOOD_REF'],
  ['FOOD_REFUSAL_2', 'FOOD_REF2'],
  ['HOSTAGE_1', 'HOSTAGE'],
  ['INCIDENT_AT_HEIGHT_1', 'ROOF_CLIMB'],
  ['CONCERTED_INDISCIPLINE_1', 'CON_INDISC'],
  ['KEY_OR_LOCK_1', 'KEY_LOCK'],
  ['KEY_OR_LOCK_2', 'KEY_LOCKNEW'],
  ['KEY_OR_LOCK_3', 'KEY_LOCK3'],
  ['MISCELLANEOUS_1', 'MISC'],
  ['MOBILE_PHONE_1', 'MOBILES'],
  ['RADIO_COMPROMISE_1', 'RADIO_COMP'],
  ['RELEASE_IN_ERROR_1', 'REL_ERROR'],
  ['SELF_HARM_1', 'SELF_HARM'],
  ['TEMPORARY_RELEASE_FAILURE_1', 'TRF'],
  ['TEMPORARY_RELEASE_FAILURE_2', 'TRF1'],
  ['TEMPORARY_RELEASE_FAILURE_3', 'TRF2'],
  ['TEMPORARY_RELEASE_FAILURE_4', 'TRF3'],
  ['TOOL_LOSS_1', 'TOOL_LOSS'],
  ['TOOL_LOSS_2', 'TOOL_LOSS2'],
  ['UNLAWFUL_DETENTION_1', 'UNLAW_DET'],
]

export const PRISONER_ROLES: readonly (readonly [dps: string, nomis: string])[] = [
  ['ABSCONDER', 'ABS'],
  ['ACTIVE_INVOLVEMENT', 'ACTINV'],
  ['ASSAILANT', 'ASSIAL'],
  ['ASSISTED_STAFF', 'ASSIST'],
  ['DECEASED', 'DEC'],
  ['ESCAPE', 'ESC'],
  ['FIGHTER', 'FIGHT'],
  ['HOSTAGE', 'HOST'],
  ['IMPEDED_STAFF', 'IMPED'],
  ['IN_POSSESSION', 'INPOSS'],
  ['INTENDED_RECIPIENT', 'INREC'],
  ['LICENSE_FAILURE', 'LICFAIL'],
  ['PERPETRATOR', 'PERP'],
  ['PRESENT_AT_SCENE', 'PRESENT'],
  ['SUSPECTED_ASSAILANT', 'SUSASS'],
  ['SUSPECTED_INVOLVED', 'SUSINV'],
  ['TEMPORARY_RELEASE_FAILURE', 'TRF'],
  ['VICTIM', 'VICT'],
  ['UNLAWFULLY_DETAINED', 'UNLAWF'],
]

export const OUTCOMES: readonly (readonly [dps: string, nomis: string])[] = [
  ['ACCT', 'ACCT'],
  ['CHARGED_BY_POLICE', 'CBP'],
  ['CONVICTED', 'CON'],
  ['CORONER_INFORMED', 'CORIN'],
  ['DEATH', 'DEA'],
  ['FURTHER_CHARGES', 'FCHRG'],
  ['LOCAL_INVESTIGATION', 'ILOC'],
  ['NEXT_OF_KIN_INFORMED', 'NKI'],
  ['PLACED_ON_REPORT', 'POR'],
  ['POLICE_INVESTIGATION', 'IPOL'],
  ['REMAND', 'RMND'],
  ['SEEN_DUTY_GOV', 'DUTGOV'],
  ['SEEN_HEALTHCARE', 'HELTH'],
  ['SEEN_IMB', 'IMB'],
  ['SEEN_OUTSIDE_HOSP', 'OUTH'],
  ['TRANSFER', 'TRN'],
  ['TRIAL', 'TRL'],
]

/** NOMIS has a second code for ACTIVELY_INVOLVED: INV. */
export const STAFF_ROLES: readonly (readonly [dps: string, nomis: string])[] = [
  ['ACTIVELY_INVOLVED', 'AI'],
  ['AUTHORISING_OFFICER', 'AO'],
  ['CR_HEAD', 'CRH'],
  ['CR_LEFT_ARM', 'CRL'],
  ['CR_LEGS', 'CRLG'],
  ['CR_RIGHT_ARM', 'CRR'],
  ['CR_SUPERVISOR', 'CRS'],
  ['DECEASED', 'DEC'],
  ['FIRST_ON_SCENE', 'FOS'],
  ['HEALTHCARE', 'HEALTH'],
  ['HOSTAGE', 'HOST'],
  ['IN_POSSESSION', 'INPOS'],
  ['NEGOTIATOR', 'NEG'],
  ['PRESENT_AT_SCENE', 'PAS'],
  ['SUSPECTED_INVOLVEMENT', 'SUSIN'],
  ['VICTIM', 'VICT'],
  ['WITNESS', 'WIT'],
]

export const DPS_STATUSES = [
  'DRAFT',
  'AWAITING_REVIEW',
  'ON_HOLD',
  'NEEDS_UPDATING',
  'UPDATED',
  'CLOSED',
  'DUPLICATE',
  'NOT_REPORTABLE',
  'REOPENED',
  'WAS_CLOSED',
] as const

/** What NOMIS uses and the unified model knows. */
export const NOMIS_STATUSES = ['AWAN', 'INAN', 'INREQ', 'INAME', 'CLOSE', 'DUP', 'PIU'] as const

/** What a report's status becomes in its copy in NOMIS; a status that is missing here is not written back. */
export const COPIED_STATUSES: Readonly<Record<string, string>> = {
  AWAITING_REVIEW: 'AWAN',
  ON_HOLD: 'INAN',
  NEEDS_UPDATING: 'INREQ',
  UPDATED: 'INAME',
  CLOSED: 'CLOSE',
  DUPLICATE: 'DUP',
  NOT_REPORTABLE: 'DUP',
}

/** Codes that no mapping knows, one for each kind of row that carries one. */
export const UNKNOWN = {
  prisonerRole: { dps: 'BYSTANDER_UNKNOWN', nomis: 'DRONE' },
  status: { dps: 'POST_INCIDENT_UPDATE', nomis: 'IUP' },
} as const

/** Prisons, then the regions of escort services. */
export const LOCATIONS = [
  'MDI', 'LEI', 'BXI', 'BLI', 'PVI', 'WWI', 'FKI', 'HLI', 'SFI', 'LPI', 'ACI', 'DGI', 'NHI', 'WDI', 'NORTH', 'SOUTH',
] as const // prettier-ignore

const NOMIS_TYPES = new Map(TYPES)
const NOMIS_PRISONER_ROLES = new Map(PRISONER_ROLES)
const NOMIS_OUTCOMES = new Map(OUTCOMES)
const NOMIS_STAFF_ROLES = new Map(STAFF_ROLES)

/** A DPS code as NOMIS writes it; a code without a pair stays as it is. */
export const nomisCode = {
  type: (code: string): string => NOMIS_TYPES.get(code) ?? code,
  prisonerRole: (code: string): string => NOMIS_PRISONER_ROLES.get(code) ?? code,
  outcome: (code: string): string => NOMIS_OUTCOMES.get(code) ?? code,
  staffRole: (code: string): string => NOMIS_STAFF_ROLES.get(code) ?? code,
}

/** Who may take a report from one status to another, and what that is called (rule status.flow). */
export interface Transition {
  readonly from: string
  readonly action: string
  readonly to: string
  readonly userType: 'REPORTING_OFFICER' | 'DATA_WARDEN'
}

const REVIEWED = [
  ['CLOSE', 'CLOSED'],
  ['REQUEST_CORRECTION', 'NEEDS_UPDATING'],
  ['MARK_DUPLICATE', 'DUPLICATE'],
  ['MARK_NOT_REPORTABLE', 'NOT_REPORTABLE'],
] as const

export const TRANSITIONS: readonly Transition[] = [
  ...officer('DRAFT', [
    ['REQUEST_REVIEW', 'AWAITING_REVIEW'],
    ['REQUEST_DUPLICATE', 'AWAITING_REVIEW'],
    ['REQUEST_NOT_REPORTABLE', 'AWAITING_REVIEW'],
  ]),
  ...officer('AWAITING_REVIEW', [['RECALL', 'DRAFT']]),
  ...officer('NEEDS_UPDATING', [['REQUEST_REVIEW', 'UPDATED']]),
  ...officer('UPDATED', [['RECALL', 'NEEDS_UPDATING']]),
  ...officer('CLOSED', [['RECALL', 'REOPENED']]),
  ...officer('DUPLICATE', [['RECALL', 'NEEDS_UPDATING']]),
  ...officer('NOT_REPORTABLE', [['RECALL', 'NEEDS_UPDATING']]),
  ...officer('REOPENED', [['REQUEST_REVIEW', 'WAS_CLOSED']]),
  ...officer('WAS_CLOSED', [['RECALL', 'REOPENED']]),
  ...warden('AWAITING_REVIEW', [...REVIEWED, ['HOLD', 'ON_HOLD']]),
  ...warden('ON_HOLD', REVIEWED),
  ...warden('UPDATED', [...REVIEWED, ['HOLD', 'ON_HOLD']]),
  ...warden('WAS_CLOSED', [
    ['CLOSE', 'CLOSED'],
    ['REQUEST_CORRECTION', 'REOPENED'],
  ]),
]

function officer(from: string, steps: readonly (readonly [action: string, to: string])[]): Transition[] {
  return steps.map(([action, to]) => ({ from, action, to, userType: 'REPORTING_OFFICER' }))
}

function warden(from: string, steps: readonly (readonly [action: string, to: string])[]): Transition[] {
  return steps.map(([action, to]) => ({ from, action, to, userType: 'DATA_WARDEN' }))
}
