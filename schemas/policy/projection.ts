/**
 * What of a unified row may enter which output: compiled once from the clearance table, applied to every row.
 * A field keeps its name where it is cleared; `xPseudonym` and `xLength` stand for what is not; the rest is gone.
 */
import { createHmac } from 'node:crypto'
import { PipelineError } from '../../core/error.ts'
import { ENTITIES, type Entity, type Field, type Fields } from '../../core/incident.ts'
import { ENTITY_DEFINITIONS, snakeCase, type EntityField } from '../entity.ts'
import { CLEARANCES, type Output, type Treatment } from './clearance.ts'
import { violations } from './violations.ts'

export interface Projection {
  readonly entity: Entity
  /** snake_case. */
  readonly table: string
  /** The fields as they leave, in order. */
  readonly fields: readonly EntityField[]
  /** A row's values as they leave, in the order of `fields`. */
  readonly project: (value: Fields) => Field[]
}

export type Projections = Readonly<Record<Entity, Projection>>

/**
 * The projection of every entity for one output. `pseudonymKey` keys the HMAC-SHA-256 of pseudonyms ({@link pseudonym}).
 * CONTRACT when a field would show more of a source column than the policy allows.
 */
export function projections(output: Output, pseudonymKey: string): Projections {
  const broken = violations()
  if (broken.length > 0) {
    throw new PipelineError(
      'CONTRACT',
      `The unified model breaks the policy of the source columns: ${broken.join('; ')}.`,
      'Give the field a kind that is protected enough, and list its columns in schemas/policy/lineage.ts.',
    )
  }
  const hash = remembering((clear) => pseudonym(pseudonymKey, clear))
  return Object.fromEntries(ENTITIES.map((entity) => [entity, compile(entity, output, hash)])) as unknown as Projections
}

type Hash = (clear: string) => string
type Shown = Exclude<Treatment, 'withheld'>

function compile(entity: Entity, output: Output, hash: Hash): Projection {
  const definition = ENTITY_DEFINITIONS[entity]
  const kept = definition.fields.flatMap((field) => {
    const treatment = CLEARANCES[output][field.kind]
    return treatment === 'withheld' ? [] : [{ field, treatment }]
  })
  return {
    entity,
    table: definition.table,
    fields: kept.map(({ field, treatment }) => leaving(field, treatment)),
    project: projecting(
      kept.map(({ field, treatment }) => READINGS[treatment](`value[${JSON.stringify(field.name)}]`)),
      hash,
    ),
  }
}

/** How a field is read in the code that {@link projecting} makes. */
const READINGS: Readonly<Record<Shown, (field: string) => string>> = {
  clear: (field) => `${field} ?? null`,
  pseudonym: (field) => `hashed(${field})`,
  length: (field) => `length(${field})`,
}

/**
 * All values in one literal. Generated, because a field that is read by its written name takes a fraction of the time of
 * one whose name is held in a variable.
 */
function projecting(readings: readonly string[], hash: Hash): Projection['project'] {
  const hashed = (clear: Field | undefined): Field => (isAbsent(clear) ? null : hash(String(clear)))
  const length = (clear: Field | undefined): Field => (isAbsent(clear) ? null : characters(String(clear)))
  // oxlint-disable-next-line typescript/no-implied-eval -- the contracts' field names are the only text in it, each quoted
  const make = new Function('hashed', 'length', `return (value) => [${readings.join(', ')}]`)
  return make(hashed, length) as Projection['project']
}

function isAbsent(field: Field | undefined): boolean {
  return field === null || field === undefined
}

function leaving(field: EntityField, treatment: Shown): EntityField {
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

/**
 * The same value under the same key has the same pseudonym, in every output and field. A key written `id=secret` puts
 * its id before each (`k2.…`), so that while keys rotate those of two keys are never taken for two persons unnoticed.
 */
export function pseudonym(key: string, clear: string): string {
  const { id = null, secret = key } = KEY_WITH_ID.exec(key)?.groups ?? {}
  const hash = createHmac('sha256', secret).update(clear).digest('base64url').slice(0, 22)
  return id === null ? hash : `${id}.${hash}`
}

const KEY_WITH_ID = /^(?<id>[a-z0-9]{1,8})=(?<secret>.{16,})$/s

const REMEMBERED = 1 << 16

/** The same few usernames and prisoner numbers come again and again, and an HMAC costs more than the rest of a row. */
function remembering(hash: Hash): Hash {
  const known = new Map<string, string>()
  return (clear) => {
    const found = known.get(clear)
    if (found !== undefined) return found
    const made = hash(clear)
    if (known.size >= REMEMBERED) known.clear()
    known.set(clear, made)
    return made
  }
}

/** Code points: what PostgreSQL's char_length counts. */
function characters(text: string): number {
  let count = 0
  for (let i = 0; i < text.length; i += (text.codePointAt(i) ?? 0) > 0xffff ? 2 : 1) count += 1
  return count
}
