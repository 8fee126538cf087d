/** The people of the synthetic world. A number always has the same name; nobody's is a real person's. */
import { hash, type Random } from './random.ts'

export interface Prisoner {
  readonly number: string
  readonly firstName: string
  readonly lastName: string
}

export interface Staff {
  /** null for a member of staff without an account. */
  readonly username: string | null
  readonly firstName: string
  readonly lastName: string
}

const PRISONERS = 3_000
const STAFF = 400

const FIRST_NAMES = [
  'Alder', 'Aspen', 'Birch', 'Cedar', 'Clover', 'Elm', 'Fern', 'Hazel', 'Heather', 'Holly', 'Ivy', 'Juniper', 'Laurel',
  'Linden', 'Maple', 'Oak', 'Poppy', 'Rowan', 'Sorrel', 'Willow', 'Zoë', 'Łukasz', 'Siân', 'Nguyễn', 'Айва', '山茶',
] // prettier-ignore
const LAST_NAMES = [
  'Testcase', 'Sampleton', 'Mockford', 'Placeholder', 'Synthwell', 'Fixture', 'Dummersley', "O'Specimen", 'Example-Smythe',
  'Modelby', 'Stubbs', 'Fakenham', 'Seedsman', 'Randomley', 'Löwenbeispiel', 'Ćwiczenie', 'Ní Shampla', 'Пример', '例',
] // prettier-ignore

/** Somebody out of the prison population. */
export function prisoner(random: Random): Prisoner {
  return prisonerAt(random.int(0, PRISONERS - 1))
}

/** Prisoner numbers begin with T, for test. */
export function prisonerAt(index: number): Prisoner {
  const letters = String.fromCharCode(65 + (Math.floor(index / 260_000) % 26), 65 + (Math.floor(index / 10_000) % 26))
  const number = `T${String(index % 10_000).padStart(4, '0')}${letters}`
  return { number, ...name(`prisoner ${number}`) }
}

/** One of the staff; one in twenty has no account. */
export function staff(random: Random): Staff {
  const member = account(random)
  return random.chance(0.05) ? { ...member, username: null } : member
}

/** One of the staff who has an account. */
export function account(random: Random): Staff & { readonly username: string } {
  const username = `TEST_USER${String(random.int(0, STAFF - 1)).padStart(3, '0')}`
  return { username, ...name(`staff ${username}`) }
}

/** The number under which NOMIS keeps a user. */
export function staffId(username: string): number {
  return 100_000 + (hash(`staff ${username}`) % 900_000)
}

/** The booking under which NOMIS keeps a prisoner: ten digits. */
export function bookingId(prisonerNumber: string): number {
  return 1_000_000_000 + hash(`booking ${prisonerNumber}`)
}

function name(whose: string): { firstName: string; lastName: string } {
  const value = hash(whose)
  return {
    firstName: FIRST_NAMES[value % FIRST_NAMES.length]!,
    lastName: LAST_NAMES[Math.floor(value / FIRST_NAMES.length) % LAST_NAMES.length]!,
  }
}
