/** The clearance table: what a value of each kind becomes in each output. A kind that is not here goes nowhere. */
import type { Kind } from '../entity.ts'

export const OUTPUTS = ['unified', 'dpr-raw', 'operational', 'analytics'] as const
export type Output = (typeof OUTPUTS)[number]

/** `length` is a text's number of characters; `pseudonym` its keyed hash. */
export type Treatment = 'clear' | 'pseudonym' | 'length' | 'withheld'

const CLEAR: Readonly<Record<Kind, Treatment>> = {
  key: 'clear',
  code: 'clear',
  date: 'clear',
  location: 'clear',
  prisonerNumber: 'clear',
  name: 'clear',
  username: 'clear',
  freeText: 'clear',
}

const GOVERNED: Readonly<Record<Kind, Treatment>> = {
  ...CLEAR,
  prisonerNumber: 'pseudonym',
  name: 'withheld',
  username: 'pseudonym',
  freeText: 'length',
}

export const CLEARANCES: Readonly<Record<Output, Readonly<Record<Kind, Treatment>>>> = {
  unified: GOVERNED,
  'dpr-raw': CLEAR,
  operational: CLEAR,
  analytics: GOVERNED,
}
