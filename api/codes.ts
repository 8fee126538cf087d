/** Codes as parameters and bodies take them: one that is not known is told which are, and not repeated. */
import { z } from 'zod'
import { STATUSES } from '../transforms/codes.ts'

export function code(name: string, codes: Iterable<string>) {
  const known = [...codes]
  return z.enum(known as [string, ...string[]], { error: `${name} must be one of ${known.join(', ')}` })
}

export const STATUS_CODES = STATUSES.map(({ status }) => status)

export const USER_ACTIONS = [
  'REQUEST_REVIEW',
  'REQUEST_DUPLICATE',
  'REQUEST_NOT_REPORTABLE',
  'REQUEST_CORRECTION',
  'RECALL',
  'CLOSE',
  'MARK_DUPLICATE',
  'MARK_NOT_REPORTABLE',
  'HOLD',
] as const
