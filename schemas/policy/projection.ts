/**
 * What of a unified row may enter which output: compiled once from the clearance table, applied to every row.
 * A field keeps its name where it is cleared; `xPseudonym` and `xLength` stand for what is not; the rest is gone.
 */
import { createHmac } from 'node:crypto'
import { ENTITIES, type Entity, type Field, type Fields } from '../../core/incident.ts'
import { ENTITY_DEFINITIONS, snakeCase, type EntityField } from '../entity.ts'
import { CLEARANCES, type Output, type Treatment } from './clearance.ts'

export interface Projection {
  readonly entity: Entity
  /** snake_case. */
  readonly table: string
  /** The fields as they leave, in order. */
  readonly fields: readonly EntityField[]
  /** A row's values as they leave, in the order of `fields`. */
  project(value: Fields): Field[]
}

export type Projections = Readonly<Record<Entity, Projection>>

/** The projection of every entity for one output. `pseudonymKey` keys the HMAC-SHA-256 of pseudonyms. */
export function projections(output: Output, pseudonymKey: string): Projections {
  return Object.fromEntries(
    ENTITIES.map((entity) => [entity, compile(entity, output, pseudonymKey)]),
  ) as unknown as Projections
}

type Step = (value: Fields) => Field

function compile(entity: Entity, output: Output, pseudonymKey: string): Projection {
  const definition = ENTITY_DEFINITIONS[entity]
  const kept = definition.fields.flatMap((field) => {
    const treatment = CLEARANCES[output][field.kind]
    return treatment === 'withheld'
      ? []
      : [{ field: leaving(field, treatment), step: step(field.name, treatment, pseudonymKey) }]
  })
  const steps = kept.map((each) => each.step)
  return {
    entity,
    table: definition.table,
    fields: kept.map((each) => each.field),
    project: (value) => steps.map((each) => each(value)),
  }
}

function leaving(field: EntityField, treatment: Exclude<Treatment, 'withheld'>): EntityField {
  switch (treatment) {
    case 'clear':
      return field
    case 'pseudonym': {
      const name = `${field.name}Pseudonym`
      return { ...field, name, column: snakeCase(name), type: 'string', doc: `Pseudonym. ${field.doc}` }
    }
    case 'length': {
      const name = `${field.name}Length`
      return { ...field, name, column: snakeCase(name), type: 'int', doc: `Length in characters. ${field.doc}` }
    }
  }
}

function step(name: string, treatment: Exclude<Treatment, 'withheld'>, key: string): Step {
  switch (treatment) {
    case 'clear':
      return (value) => value[name] ?? null
    case 'pseudonym':
      return (value) => {
        const clear = value[name] ?? null
        return clear === null ? null : pseudonym(key, String(clear))
      }
    case 'length':
      return (value) => {
        const clear = value[name] ?? null
        return clear === null ? null : [...String(clear)].length
      }
  }
}

/** The same value under the same key has the same pseudonym, in every output and field. */
export function pseudonym(key: string, clear: string): string {
  return createHmac('sha256', key).update(clear).digest('base64url').slice(0, 22)
}
