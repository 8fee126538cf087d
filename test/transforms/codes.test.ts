/** The code tables of both models, row for row. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Fields } from '../../core/incident.ts'
import { NOMIS_CODES } from '../../transforms/codes.ts'
import { unify } from '../../transforms/unify.ts'
import { rowChange, sourceRow, type UnifiedTable } from '../support/source-rows.ts'

/** NOMIS code, DPS type, family. */
const TYPES = rows(`
  ABSCOND ABSCOND_1 ABSCOND
  ASSAULT ASSAULT_1 ASSAULT
  ASSAULTS ASSAULT_2 ASSAULT
  ASSAULTS1 ASSAULT_3 ASSAULT
  ASSAULTS2 ASSAULT_4 ASSAULT
  ASSAULTS3 ASSAULT_5 ASSAULT
  ATT_ESC_E ATTEMPTED_ESCAPE_FROM_ESCORT_1 ATTEMPTED_ESCAPE_FROM_ESCORT
  ATT_ESCAPE ATTEMPTED_ESCAPE_FROM_PRISON_1 ATTEMPTED_ESCAPE_FROM_PRISON
  BARRICADE BARRICADE_1 BARRICADE
  BOMB BOMB_1 BOMB
  BREACH BREACH_OF_SECURITY_1 BREACH_OF_SECURITY
  DIS_3RD_PTY BC_DISRUPT_3RD_PTY_1 BC_DISRUPT_3RD_PTY
  FUELSHORTAGE BC_FUEL_SHORTAGE_1 BC_FUEL_SHORTAGE
  LOSS_EGRESS BC_LOSS_ACCESS_EGRESS_1 BC_LOSS_ACCESS_EGRESS
  LOSS_COMMS BC_LOSS_COMMS_1 BC_LOSS_COMMS
  LOSS_UTILS BC_LOSS_UTILS_1 BC_LOSS_UTILS
  SERV_WEATHER BC_SERV_WEATHER_1 BC_SERV_WEATHER
  STF_SHORTAGE BC_STAFF_SHORTAGES_1 BC_STAFF_SHORTAGES
  WSPR_ILLNESS BC_WIDESPREAD_ILLNESS_1 BC_WIDESPREAD_ILLNESS
  CLOSE_DOWN CLOSE_DOWN_SEARCH_1 CLOSE_DOWN_SEARCH
  DEATH_NI DEATH_OTHER_1 DEATH_OTHER
  DEATH DEATH_PRISONER_1 DEATH_PRISONER
  DAMAGE DAMAGE_1 DAMAGE
  DIRTYPROTEST DIRTY_PROTEST_1 DIRTY_PROTEST
  DISORDER DISORDER_1 DISORDER
  DISORDER1 DISORDER_2 DISORDER
  DRONE DRONE_SIGHTING_1 DRONE_SIGHTING
  DRONE1 DRONE_SIGHTING_2 DRONE_SIGHTING
  DRONE2 DRONE_SIGHTING_3 DRONE_SIGHTING
  DRUGS DRUGS_1 DRUGS
  ESCAPE_ESC ESCAPE_FROM_ESCORT_1 ESCAPE_FROM_ESCORT
  ESCAPE_EST ESCAPE_FROM_PRISON_1 ESCAPE_FROM_PRISON
  FINDS FIND_1 FIND
  FIND FIND_2 FIND
  FIND1 FIND_3 FIND
  FIND0322 FIND_4 FIND
  FINDS1 FIND_5 FIND
  FIND0422 FIND_6 FIND
  FIRE FIRE_1 FIRE
  FIREARM_ETC FIREARM_1 FIREARM
  FOOD_REF FOOD_REFUSAL_1 FOOD_REFUSAL
  FOOD_REF2 FOOD_REFUSAL_2 FOOD_REFUSAL
  HOSTAGE HOSTAGE_1 HOSTAGE
  ROOF_CLIMB INCIDENT_AT_HEIGHT_1 INCIDENT_AT_HEIGHT
  CON_INDISC CONCERTED_INDISCIPLINE_1 CONCERTED_INDISCIPLINE
  KEY_LOCK KEY_OR_LOCK_1 KEY_OR_LOCK
  KEY_LOCKNEW KEY_OR_LOCK_2 KEY_OR_LOCK
  KEY_LOCK3 KEY_OR_LOCK_3 KEY_OR_LOCK
  MISC MISCELLANEOUS_1 MISCELLANEOUS
  MOBILES MOBILE_PHONE_1 MOBILE_PHONE
  RADIO_COMP RADIO_COMPROMISE_1 RADIO_COMPROMISE
  REL_ERROR RELEASE_IN_ERROR_1 RELEASE_IN_ERROR
  SELF_HARM SELF_HARM_1 SELF_HARM
  TRF TEMPORARY_RELEASE_FAILURE_1 TEMPORARY_RELEASE_FAILURE
  TRF1 TEMPORARY_RELEASE_FAILURE_2 TEMPORARY_RELEASE_FAILURE
  TRF2 TEMPORARY_RELEASE_FAILURE_3 TEMPORARY_RELEASE_FAILURE
  TRF3 TEMPORARY_RELEASE_FAILURE_4 TEMPORARY_RELEASE_FAILURE
  TOOL_LOSS TOOL_LOSS_1 TOOL_LOSS
  TOOL_LOSS2 TOOL_LOSS_2 TOOL_LOSS
  UNLAW_DET UNLAWFUL_DETENTION_1 UNLAWFUL_DETENTION
`)

/** NOMIS code, DPS code. ASSIAL is NOMIS's own spelling. */
const PRISONER_ROLES = rows(`
  ABS ABSCONDER
  INREC INTENDED_RECIPIENT
  ACTINV ACTIVE_INVOLVEMENT
  LICFAIL LICENSE_FAILURE
  ASSIAL ASSAILANT
  PERP PERPETRATOR
  ASSIST ASSISTED_STAFF
  PRESENT PRESENT_AT_SCENE
  DEC DECEASED
  SUSASS SUSPECTED_ASSAILANT
  ESC ESCAPE
  SUSINV SUSPECTED_INVOLVED
  FIGHT FIGHTER
  TRF TEMPORARY_RELEASE_FAILURE
  HOST HOSTAGE
  VICT VICTIM
  IMPED IMPEDED_STAFF
  UNLAWF UNLAWFULLY_DETAINED
  INPOSS IN_POSSESSION
`)

/** NOMIS code, DPS code. */
const OUTCOMES = rows(`
  ACCT ACCT
  CBP CHARGED_BY_POLICE
  CON CONVICTED
  CORIN CORONER_INFORMED
  DEA DEATH
  FCHRG FURTHER_CHARGES
  ILOC LOCAL_INVESTIGATION
  NKI NEXT_OF_KIN_INFORMED
  POR PLACED_ON_REPORT
  IPOL POLICE_INVESTIGATION
  RMND REMAND
  DUTGOV SEEN_DUTY_GOV
  HELTH SEEN_HEALTHCARE
  IMB SEEN_IMB
  OUTH SEEN_OUTSIDE_HOSP
  TRN TRANSFER
  TRL TRIAL
`)

/** NOMIS code, DPS code. */
const STAFF_ROLES = rows(`
  AI ACTIVELY_INVOLVED
  AO AUTHORISING_OFFICER
  CRH CR_HEAD
  CRL CR_LEFT_ARM
  CRLG CR_LEGS
  CRR CR_RIGHT_ARM
  CRS CR_SUPERVISOR
  DEC DECEASED
  FOS FIRST_ON_SCENE
  HEALTH HEALTHCARE
  HOST HOSTAGE
  INPOS IN_POSSESSION
  NEG NEGOTIATOR
  PAS PRESENT_AT_SCENE
  SUSIN SUSPECTED_INVOLVEMENT
  VICT VICTIM
  WIT WITNESS
  INV ACTIVELY_INVOLVED
`)

/** DPS status, whether consumers are told to ignore it (rule status.ignored), whether handling has ended. */
const STATUSES = rows(`
  DRAFT            no  no
  AWAITING_REVIEW  no  no
  ON_HOLD          no  no
  NEEDS_UPDATING   no  no
  UPDATED          no  no
  CLOSED           no  yes
  DUPLICATE        yes yes
  NOT_REPORTABLE   yes yes
  REOPENED         yes no
  WAS_CLOSED       yes no
`)

/** NOMIS code, DPS status. */
const NOMIS_STATUSES = rows(`
  AWAN  AWAITING_REVIEW
  INAN  ON_HOLD
  INREQ NEEDS_UPDATING
  INAME UPDATED
  CLOSE CLOSED
  DUP   DUPLICATE
  PIU   ON_HOLD
`)

function rows(text: string): string[][] {
  return text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/ +/))
}

function mapped(table: UnifiedTable, cells: Record<string, string | number>): Fields {
  const { rows: made, refusal } = unify(rowChange(table, { after: sourceRow(table, cells) }))
  expect(refusal).toBeNull()
  return made[0]!.value
}

function refusalOf(table: UnifiedTable, cells: Record<string, string | number>): string | undefined {
  const { rows: made, refusal } = unify(rowChange(table, { after: sourceRow(table, cells) }))
  expect(made).toEqual([])
  return refusal?.code
}

describe('incident types (rule codes.types)', () => {
  test('there are 60 types in 41 families', () => {
    expect(TYPES).toHaveLength(60)
    expect(new Set(TYPES.map(([, , family]) => family)).size).toBe(41)
  })

  test.each(TYPES)('NOMIS %s is the DPS type %s of family %s', (nomis, type, family) => {
    const report = mapped('nomis.incident_cases', { incident_type: nomis! })
    expect(report).toMatchObject({ type, typeFamily: family, typeRaw: nomis })
  })

  test('twelve codes of NOMIS are spelt like a family and mean one type of it', () => {
    const families = new Set([...NOMIS_CODES.types.values()].map(({ family }) => family))
    const alike = [...NOMIS_CODES.types].filter(([nomis]) => families.has(nomis))
    expect(alike.map(([nomis, { type }]) => `${nomis} ${type}`).toSorted()).toEqual([
      'ABSCOND ABSCOND_1',
      'ASSAULT ASSAULT_1',
      'BARRICADE BARRICADE_1',
      'BOMB BOMB_1',
      'DAMAGE DAMAGE_1',
      'DISORDER DISORDER_1',
      'DRUGS DRUGS_1',
      'FIND FIND_2',
      'FIRE FIRE_1',
      'HOSTAGE HOSTAGE_1',
      'SELF_HARM SELF_HARM_1',
      'TOOL_LOSS TOOL_LOSS_1',
    ])
  })

  test.each(TYPES)('the DPS type of NOMIS %s, %s, stands for itself', (_nomis, type, family) => {
    expect(mapped('public.report', { type: type! })).toMatchObject({ type, typeFamily: family, typeRaw: type })
  })

  test.each(TYPES)('NOMIS %s and %s are read alike where a type was given up', (nomis, type, family) => {
    const earlier = mapped('nomis.incident_questionnaire_hty', { type: nomis! })
    expect(earlier).toMatchObject({ type, typeFamily: family, typeRaw: nomis })
    expect(mapped('public.history', { type: type! })).toMatchObject({ type, typeFamily: family, typeRaw: type })
  })

  test("the service's own copy of its types has the same codes and families", () => {
    const copied = constants('constant_type').map((values) => `${values[0]} ${values.at(-1)}`)
    expect(copied.toSorted()).toEqual(TYPES.map(([, type, family]) => `${type} ${family}`).toSorted())
  })

  test("the families are those of the service's own copy", () => {
    const copied = constants('constant_type_family').map((values) => values[0])
    const known = new Set([...NOMIS_CODES.types.values()].map(({ family }) => family))
    expect(new Set(copied)).toEqual(known)
  })

  test.each(['ASSAULT', 'OLD_ASSAULT1', 'FINDS', 'ABSCONDER'])('DPS knows no %s since it renamed its types', (type) => {
    expect(refusalOf('public.report', { type })).toBe('UNKNOWN_CODE')
    expect(refusalOf('public.history', { type })).toBe('UNKNOWN_CODE')
  })

  test.each(['ASSAULT_5', 'MISCELLANEOUS', ''])('NOMIS knows no %s', (type) => {
    expect(refusalOf('nomis.incident_cases', { incident_type: type })).toBe('UNKNOWN_CODE')
    expect(refusalOf('nomis.incident_questionnaire_hty', { type })).toBe('UNKNOWN_CODE')
  })
})

describe('statuses (rules codes.statuses, status.ignored)', () => {
  test.each(STATUSES)('%s: ignored downstream %s, completed %s', (status, ignored, completed) => {
    expect(mapped('public.report', { status: status! })).toMatchObject({
      status,
      statusRaw: status,
      ignoreDownstream: ignored === 'yes',
      completed: completed === 'yes',
    })
  })

  test("the service's own copy of its statuses says the same about ignoring", () => {
    const copied = constants('constant_status').map((values) => `${values[0]} ${values[3] === 'true' ? 'yes' : 'no'}`)
    expect(copied.toSorted()).toEqual(STATUSES.map(([status, ignored]) => `${status} ${ignored}`).toSorted())
  })

  test.each(NOMIS_STATUSES)('NOMIS %s is %s, with the same groupings', (nomis, status) => {
    const [, ignored, completed] = STATUSES.find(([each]) => each === status)!
    expect(mapped('nomis.incident_cases', { incident_status: nomis! })).toMatchObject({
      status,
      statusRaw: nomis,
      ignoreDownstream: ignored === 'yes',
      completed: completed === 'yes',
    })
  })

  test('NOMIS IUP has no counterpart: DPS dropped it without converting its rows', () => {
    expect(refusalOf('nomis.incident_cases', { incident_status: 'IUP' })).toBe('UNKNOWN_CODE')
  })

  test.each(['POST_INCIDENT_UPDATE', 'INCIDENT_UPDATED', 'AWAITING_ANALYSIS', 'AWAN'])('DPS knows no %s', (status) => {
    expect(refusalOf('public.report', { status })).toBe('UNKNOWN_CODE')
    expect(refusalOf('public.status_history', { status })).toBe('UNKNOWN_CODE')
  })
})

describe('prisoner roles (rule codes.prisoner-roles)', () => {
  test.each(PRISONER_ROLES)('NOMIS %s is %s', (nomis, role) => {
    expect(mapped('nomis.incident_case_parties', { participation_role: nomis! })).toMatchObject({
      prisonerRole: role,
      prisonerRoleRaw: nomis,
    })
    expect(mapped('public.prisoner_involvement', { prisoner_role: role! })).toMatchObject({ prisonerRole: role })
  })

  test.each(['DRONE', 'INPOS', 'AI'])('NOMIS %s is no role of a prisoner', (role) => {
    expect(refusalOf('nomis.incident_case_parties', { participation_role: role })).toBe('UNKNOWN_CODE')
  })
})

describe('prisoner outcomes (rule codes.outcomes)', () => {
  test.each(OUTCOMES)('NOMIS %s is %s', (nomis, outcome) => {
    expect(mapped('nomis.incident_case_parties', { outcome_code: nomis! })).toMatchObject({
      outcome,
      outcomeRaw: nomis,
    })
    expect(mapped('public.prisoner_involvement', { outcome: outcome! })).toMatchObject({ outcome })
  })

  test('an unknown outcome is refused in both models', () => {
    expect(refusalOf('nomis.incident_case_parties', { outcome_code: 'NOPE' })).toBe('UNKNOWN_CODE')
    expect(refusalOf('public.prisoner_involvement', { outcome: 'CBP' })).toBe('UNKNOWN_CODE')
  })
})

describe('staff roles (rule codes.staff-roles)', () => {
  test.each(STAFF_ROLES)('NOMIS %s is %s', (nomis, role) => {
    expect(mapped('nomis.incident_case_parties', { staff_id: 9, participation_role: nomis! })).toMatchObject({
      staffRole: role,
      staffRoleRaw: nomis,
    })
    expect(mapped('public.staff_involvement', { staff_role: role! })).toMatchObject({ staffRole: role })
  })

  test.each([
    ['DEC', 'DECEASED'],
    ['HOST', 'HOSTAGE'],
    ['VICT', 'VICTIM'],
  ])('NOMIS %s is %s of prisoners as well: the kind of party decides', (nomis, role) => {
    const party = { participation_role: nomis }
    expect(mapped('nomis.incident_case_parties', party)).toMatchObject({ prisonerRole: role })
    expect(mapped('nomis.incident_case_parties', { ...party, staff_id: 9 })).toMatchObject({ staffRole: role })
  })

  test.each(['INPOSS', 'ASSIAL'])('NOMIS %s is no role of staff', (role) => {
    expect(refusalOf('nomis.incident_case_parties', { staff_id: 9, participation_role: role })).toBe('UNKNOWN_CODE')
  })
})

test('systems other than DPS and NOMIS are refused (rule dps.systems)', () => {
  expect(refusalOf('public.report', { source: 'OTHER' })).toBe('UNKNOWN_CODE')
  expect(refusalOf('public.report', { modified_in: 'OTHER' })).toBe('UNKNOWN_CODE')
})

/** The rows that the source's own script puts into a constant table, values as text without quotes. */
function constants(table: string): string[][] {
  const sql = readFileSync(new URL('../../schemas/source/dps-constants.sql', import.meta.url), 'utf8')
  const statement = sql.match(new RegExp(`INSERT INTO public\\.${table} [^]*?;\\n`))![0]
  return [...statement.matchAll(/^ {2}\((.*)\)[,;]$/gm)].map(([, values]) =>
    [...values!.matchAll(/'((?:[^']|'')*)'|[^,\s]+/g)].map(([all, quoted]) => quoted ?? all),
  )
}
