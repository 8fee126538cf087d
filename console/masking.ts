/** What a page hides from whom. The API's answer is whole; a page shows it by these rules, and reveals one value at a time. */
import type { Entity } from '../core/incident.ts'
import { ENTITY_DEFINITIONS, type Kind } from '../schemas/entity.ts'
import { ADMINISTER_REPORTS, MAINTAIN_REPORTS, OPERATE_READ, OPERATE_WRITE, REVIEW_AUDIT } from '../api/roles.ts'

/** Who works with reports sees all of one that they may open. */
const CLEARED: readonly string[] = [MAINTAIN_REPORTS, ADMINISTER_REPORTS]
/** Who looks after the pipeline, or after its readers, needs codes, dates and keys, and nobody's name. */
const WITHHELD: readonly string[] = [OPERATE_READ, OPERATE_WRITE, REVIEW_AUDIT]

const PERSONAL: ReadonlySet<Kind> = new Set<Kind>(['prisonerNumber', 'name', 'username', 'freeText'])

/** Names, prisoner numbers, usernames and free text are hidden from operators and auditors who do not work with reports. */
export function isMasked(roles: readonly string[]): boolean {
  return roles.some((role) => WITHHELD.includes(role)) && !roles.some((role) => CLEARED.includes(role))
}

const fields = new Map<Entity, ReadonlySet<string>>()

/** The fields of an entity that are hidden, by their name in the API: those that the policy calls a person's or free text. */
export function personalFields(entity: Entity): ReadonlySet<string> {
  const known = fields.get(entity)
  if (known !== undefined) return known
  const found = new Set(
    ENTITY_DEFINITIONS[entity].fields.filter(({ kind }) => PERSONAL.has(kind)).map(({ name }) => name),
  )
  fields.set(entity, found)
  return found
}

/** A value as a page shows it. */
export interface Shown {
  /** Null when it is hidden. */
  readonly text: string | null
  /** Where it is in the API's answer, for those who may ask to see it. */
  readonly path: string
}

export interface Masking {
  readonly masked: boolean
  /** Every text of these is shown that the policy does not protect. */
  show(entity: Entity, field: string, value: unknown, path: string): Shown
}

/** An empty value is shown as such: there is nothing to hide. */
export function masking(roles: readonly string[]): Masking {
  const masked = isMasked(roles)
  return {
    masked,
    show: (entity, field, value, path) => {
      const text = shownText(value)
      return { text: masked && text !== '' && personalFields(entity).has(field) ? null : text, path }
    },
  }
}

export function shownText(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'boolean') return value ? 'Yes' : 'No'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

const PATH = /^[a-zA-Z]+(\.([a-zA-Z]+|\d{1,6})){0,6}$/

/** The text at a path of an answer; null when there is none. */
export function textAt(answer: unknown, path: string): string | null {
  if (!PATH.test(path)) return null
  let at: unknown = answer
  for (const name of path.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return null
    at = (at as Record<string, unknown>)[name]
  }
  return typeof at === 'string' || typeof at === 'number' ? String(at) : null
}

/** `prisonersInvolved.0.firstName` → Prisoners involved 1, first name */
export function pathWords(path: string): string {
  const text = path
    .split('.')
    .map((name) =>
      /^\d+$/.test(name) ? String(Number(name) + 1) : name.replaceAll(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`),
    )
    .join(' ')
  return text.charAt(0).toUpperCase() + text.slice(1)
}
