/** What words on the command line mean. */
import { InvalidArgumentError } from 'commander'
import { SINKS, type SinkName } from '../sinks/names.ts'

export function count(text: string): number {
  const n = Number(text)
  if (!Number.isInteger(n) || n < 0) throw new InvalidArgumentError('Expected a whole number.')
  return n
}

export function sinkName(text: string): SinkName {
  const found = SINKS.find((name) => name === text)
  if (found === undefined) throw new InvalidArgumentError(`Expected ${SINKS.join(', ')}.`)
  return found
}
