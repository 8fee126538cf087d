/** What both registries share: the order of compatibility levels, and how a refusal reads. */
import { PipelineError } from '../core/error.ts'
import type { Compatibility } from './registry.ts'

/**
 * The weakest of our levels that asks for at least what both ask: so a level somebody set is raised, never lowered.
 * `current` is any level a registry knows (NONE, BACKWARD, FORWARD, FULL, each also _TRANSITIVE).
 */
export function strictest(current: string, wanted: Compatibility): Compatibility {
  if (current.startsWith('FULL') || current.startsWith('FORWARD')) return 'FULL_TRANSITIVE'
  return wanted
}

export function incompatible(subject: string, version: number | null, level: Compatibility, reason: string) {
  const which = version === null ? 'The next version' : `Version ${version}`
  return new PipelineError(
    'CONTRACT',
    `${which} of subject ${subject} is not ${level}: ${reason}.`,
    'Change the schema so that both sides can read each other (give a new field a default), or publish it under a new subject.',
  )
}

export function invalidSchema(subject: string, reason: string): PipelineError {
  return new PipelineError('CONTRACT', `The schema for subject ${subject} is no valid Avro: ${reason}.`, 'Correct it.')
}

export function unknownSchema(id: number, registry: string): PipelineError {
  return new PipelineError(
    'MALFORMED_RECORD',
    `No schema in ${registry} has the id ${id} that a record names.`,
    'Use the registry that the topic was written with.',
  )
}
