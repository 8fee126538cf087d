/** What words on the command line mean. */
import { InvalidArgumentError, Option } from 'commander'
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

/** Every command takes it. */
export const json = new Option('--json', 'one line of JSON on stdout')
