/**
 * The code tables of both models. They are exact: a code that is not here has no counterpart and is refused, never
 * defaulted. The codes that the DPS service used before it renamed them are not here either: no row holds them.
 */

/** Every DPS type with its family and its NOMIS code. NOMIS codes read like families: ASSAULT is the type ASSAULT_1. */
export const TYPES: readonly (readonly [type: string, family: string, nomis: string])[] = [
  ['ABSCOND_1', 'ABSCOND', 'ABSCOND'],
  ['ASSAULT_1', 'ASSAULT', 'ASSAULT'],
  ['ASSAULT_2', 'ASSAULT', 'ASSAULTS'],
  ['ASSAULT_3', 'ASSAULT', 'ASSAULTS1'],
  ['ASSAULT_4', 'ASSAULT', 'ASSAULTS2'],
  ['ASSAULT_5', 'ASSAULT', 'ASSAULTS3'],
  ['ATTEMPTED_ESCAPE_FROM_ESCORT_1', 'ATTEMPTED_ESCAPE_FROM_ESCORT', 'ATT_ESC_E'],
  ['ATTEMPTED_ESCAPE_FROM_PRISON_1', 'ATTEMPTED_ESCAPE_FROM_PRISON', 'ATT_ESCAPE'],
  ['BARRICADE_1', 'BARRICADE', 'BARRICADE'],
  ['BOMB_1', 'BOMB', 'BOMB'],
  ['BREACH_OF_SECURITY_1', 'BREACH_OF_SECURITY', 'BREACH'],
  ['BC_DISRUPT_3RD_PTY_1', 'BC_DISRUPT_3RD_PTY', 'DIS_3RD_PTY'],
  ['BC_FUEL_SHORTAGE_1', 'BC_FUEL_SHORTAGE', 'FUELSHORTAGE'],
  ['BC_LOSS_ACCESS_EGRESS_1', 'BC_LOSS_ACCESS_EGRESS', 'LOSS_EGRESS'],
  ['BC_LOSS_COMMS_1', 'BC_LOSS_COMMS', 'LOSS_COMMS'],
  ['BC_LOSS_UTILS_1', 'BC_LOSS_UTILS', 'LOSS_UTILS'],
  ['BC_SERV_WEATHER_1', 'BC_SERV_WEATHER', 'SERV_WEATHER'],
  ['BC_STAFF_SHORTAGES_1', 'BC_STAFF_SHORTAGES', 'STF_SHORTAGE'],
  ['BC_WIDESPREAD_ILLNESS_1', 'BC_WIDESPREAD_ILLNESS', 'WSPR_ILLNESS'],
  ['CLOSE_DOWN_SEARCH_1', 'CLOSE_DOWN_SEARCH', 'CLOSE_DOWN'],
  ['DEATH_OTHER_1', 'DEATH_OTHER', 'DEATH_NI'],
  ['DEATH_PRISONER_1', 'DEATH_PRISONER', 'DEATH'],
  ['DAMAGE_1', 'DAMAGE', 'DAMAGE'],
  ['DIRTY_PROTEST_1', 'DIRTY_PROTEST', 'DIRTYPROTEST'],
  ['DISORDER_1', 'DISORDER', 'DISORDER'],
  ['DISORDER_2', 'DISORDER', 'DISORDER1'],
  ['DRONE_SIGHTING_1', 'DRONE_SIGHTING', 'DRONE'],
  ['DRONE_SIGHTING_2', 'DRONE_SIGHTING', 'DRONE1'],
  ['DRONE_SIGHTING_3', 'DRONE_SIGHTING', 'DRONE2'],
  ['DRUGS_1', 'DRUGS', 'DRUGS'],
  ['ESCAPE_FROM_ESCORT_1', 'ESCAPE_FROM_ESCORT', 'ESCAPE_ESC'],
  ['ESCAPE_FROM_PRISON_1', 'ESCAPE_FROM_PRISON', 'ESCAPE_EST'],
  ['FIND_1', 'FIND', 'FINDS'],
  ['FIND_2', 'FIND', 'FIND'],
  ['FIND_3', 'FIND', 'FIND1'],
  ['FIND_4', 'FIND', 'FIND0322'],
  ['FIND_5', 'FIND', 'FINDS1'],
  ['FIND_6', 'FIND', 'FIND0422'],
  ['FIRE_1', 'FIRE', 'FIRE'],
  ['FIREARM_1', 'FIREARM', 'FIREARM_ETC'],
  ['FOOD_REFUSAL_1', 'FOOD_REFUSAL', 'FOOD_REF'],
  ['FOOD_REFUSAL_2', 'FOOD_REFUSAL', 'FOOD_REF2'],
  ['HOSTAGE_1', 'HOSTAGE', 'HOSTAGE'],
  ['INCIDENT_AT_HEIGHT_1', 'INCIDENT_AT_HEIGHT', 'ROOF_CLIMB'],
  ['CONCERTED_INDISCIPLINE_1', 'CONCERTED_INDISCIPLINE', 'CON_INDISC'],
  ['KEY_OR_LOCK_1', 'KEY_OR_LOCK', 'KEY_LOCK'],
  ['KEY_OR_LOCK_2', 'KEY_OR_LOCK', 'KEY_LOCKNEW'],
  ['KEY_OR_LOCK_3', 'KEY_OR_LOCK', 'KEY_LOCK3'],
  ['MISCELLANEOUS_1', 'MISCELLANEOUS', 'MISC'],
  ['MOBILE_PHONE_1', 'MOBILE_PHONE', 'MOBILES'],
  ['RADIO_COMPROMISE_1', 'RADIO_COMPROMISE', 'RADIO_COMP'],
  ['RELEASE_IN_ERROR_1', 'RELEASE_IN_ERROR', 'REL_ERROR'],
  ['SELF_HARM_1', 'SELF_HARM', 'SELF_HARM'],
  ['TEMPORARY_RELEASE_FAILURE_1', 'TEMPORARY_RELEASE_FAILURE', 'TRF'],
  ['TEMPORARY_RELEASE_FAILURE_2', 'TEMPORARY_RELEASE_FAILURE', 'TRF1'],
  ['TEMPORARY_RELEASE_FAILURE_3', 'TEMPORARY_RELEASE_FAILURE', 'TRF2'],
  ['TEMPORARY_RELEASE_FAILURE_4', 'TEMPORARY_RELEASE_FAILURE', 'TRF3'],
  ['TOOL_LOSS_1', 'TOOL_LOSS', 'TOOL_LOSS'],
  ['TOOL_LOSS_2', 'TOOL_LOSS', 'TOOL_LOSS2'],
  ['UNLAWFUL_DETENTION_1', 'UNLAWFUL_DETENTION', 'UNLAW_DET'],
]

export interface Status {
  readonly status: string
  /** The service itself tells consumers to ignore a report in this status. */
  readonly ignoreDownstream: boolean
  /** Handling has ended. */
  readonly completed: boolean
}

/** Consumers disagree about which statuses count, so both groupings travel with each status. */
export const STATUSES: readonly Status[] = [
  { status: 'DRAFT', ignoreDownstream: false, completed: false },
  { status: 'AWAITING_REVIEW', ignoreDownstream: false, completed: false },
  { status: 'ON_HOLD', ignoreDownstream: false, completed: false },
  { status: 'NEEDS_UPDATING', ignoreDownstream: false, completed: false },
  { status: 'UPDATED', ignoreDownstream: false, completed: false },
  { status: 'CLOSED', ignoreDownstream: false, completed: true },
  { status: 'DUPLICATE', ignoreDownstream: true, completed: true },
  { status: 'NOT_REPORTABLE', ignoreDownstream: true, completed: true },
  { status: 'REOPENED', ignoreDownstream: true, completed: false },
  { status: 'WAS_CLOSED', ignoreDownstream: true, completed: false },
]

/** NOMIS to DPS. IUP (incident updated) has no counterpart: DPS dropped the status without converting its rows. */
const NOMIS_STATUSES: Codes = {
  AWAN: 'AWAITING_REVIEW',
  INAN: 'ON_HOLD',
  INREQ: 'NEEDS_UPDATING',
  INAME: 'UPDATED',
  CLOSE: 'CLOSED',
  DUP: 'DUPLICATE',
  PIU: 'ON_HOLD',
}

/** NOMIS's domain IR_OFF_PART to DPS. ASSIAL is how NOMIS spells it. Its code DRONE has no counterpart. */
const NOMIS_PRISONER_ROLES: Codes = {
  ABS: 'ABSCONDER',
  ACTINV: 'ACTIVE_INVOLVEMENT',
  ASSIAL: 'ASSAILANT',
  ASSIST: 'ASSISTED_STAFF',
  DEC: 'DECEASED',
  ESC: 'ESCAPE',
  FIGHT: 'FIGHTER',
  HOST: 'HOSTAGE',
  IMPED: 'IMPEDED_STAFF',
  INPOSS: 'IN_POSSESSION',
  INREC: 'INTENDED_RECIPIENT',
  LICFAIL: 'LICENSE_FAILURE',
  PERP: 'PERPETRATOR',
  PRESENT: 'PRESENT_AT_SCENE',
  SUSASS: 'SUSPECTED_ASSAILANT',
  SUSINV: 'SUSPECTED_INVOLVED',
  TRF: 'TEMPORARY_RELEASE_FAILURE',
  VICT: 'VICTIM',
  UNLAWF: 'UNLAWFULLY_DETAINED',
}

/** NOMIS's domain IR_OUTCOME to DPS. */
const NOMIS_OUTCOMES: Codes = {
  ACCT: 'ACCT',
  CBP: 'CHARGED_BY_POLICE',
  CON: 'CONVICTED',
  CORIN: 'CORONER_INFORMED',
  DEA: 'DEATH',
  FCHRG: 'FURTHER_CHARGES',
  ILOC: 'LOCAL_INVESTIGATION',
  NKI: 'NEXT_OF_KIN_INFORMED',
  POR: 'PLACED_ON_REPORT',
  IPOL: 'POLICE_INVESTIGATION',
  RMND: 'REMAND',
  DUTGOV: 'SEEN_DUTY_GOV',
  HELTH: 'SEEN_HEALTHCARE',
  IMB: 'SEEN_IMB',
  OUTH: 'SEEN_OUTSIDE_HOSP',
  TRN: 'TRANSFER',
  TRL: 'TRIAL',
}

/** NOMIS's domain IR_STF_PART to DPS. DEC, HOST and VICT are prisoner roles too, so the kind of party decides. */
const NOMIS_STAFF_ROLES: Codes = {
  AI: 'ACTIVELY_INVOLVED',
  INV: 'ACTIVELY_INVOLVED',
  AO: 'AUTHORISING_OFFICER',
  CRH: 'CR_HEAD',
  CRL: 'CR_LEFT_ARM',
  CRLG: 'CR_LEGS',
  CRR: 'CR_RIGHT_ARM',
  CRS: 'CR_SUPERVISOR',
  DEC: 'DECEASED',
  FOS: 'FIRST_ON_SCENE',
  HEALTH: 'HEALTHCARE',
  HOST: 'HOSTAGE',
  INPOS: 'IN_POSSESSION',
  NEG: 'NEGOTIATOR',
  PAS: 'PRESENT_AT_SCENE',
  SUSIN: 'SUSPECTED_INVOLVEMENT',
  VICT: 'VICTIM',
  WIT: 'WITNESS',
}

type Codes = Readonly<Record<string, string>>

export interface Type {
  readonly type: string
  readonly family: string
}

/** What one model's codes mean in the unified one. */
export interface CodeTables {
  readonly types: ReadonlyMap<string, Type>
  readonly statuses: ReadonlyMap<string, Status>
  readonly prisonerRoles: ReadonlyMap<string, string>
  readonly outcomes: ReadonlyMap<string, string>
  readonly staffRoles: ReadonlyMap<string, string>
}

const statusByCode = new Map(STATUSES.map((status) => [status.status, status]))

/** The unified model speaks DPS codes, so these stand for themselves. */
export const DPS_CODES: CodeTables = {
  types: new Map(TYPES.map(([type, family]) => [type, { type, family }])),
  statuses: statusByCode,
  prisonerRoles: themselves(NOMIS_PRISONER_ROLES),
  outcomes: themselves(NOMIS_OUTCOMES),
  staffRoles: themselves(NOMIS_STAFF_ROLES),
}

export const NOMIS_CODES: CodeTables = {
  types: new Map(TYPES.map(([type, family, nomis]) => [nomis, { type, family }])),
  statuses: new Map(Object.entries(NOMIS_STATUSES).map(([code, status]) => [code, statusByCode.get(status)!])),
  prisonerRoles: new Map(Object.entries(NOMIS_PRISONER_ROLES)),
  outcomes: new Map(Object.entries(NOMIS_OUTCOMES)),
  staffRoles: new Map(Object.entries(NOMIS_STAFF_ROLES)),
}

/** The systems that a DPS report's `source` and `modified_in` name. */
export const SYSTEMS: ReadonlyMap<string, string> = new Map([
  ['DPS', 'DPS'],
  ['NOMIS', 'NOMIS'],
])

/** NOMIS's flags. */
export const YES_NO: ReadonlyMap<string, boolean> = new Map([
  ['Y', true],
  ['N', false],
])

function themselves(codes: Codes): ReadonlyMap<string, string> {
  return new Map(Object.values(codes).map((code) => [code, code]))
}
