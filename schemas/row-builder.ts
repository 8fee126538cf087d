/** Making a row out of its columns' values. */
import type { Row, Value } from '../core/change.ts'

export type BuildRow<From> = (value: (from: From, column: number) => Value, from: From) => Row

/**
 * Asks for the values in order. Generated, because an object that is written down whole is made, and later read, in a
 * fraction of the time of one that grows by names held in variables.
 */
export function rowBuilder<From>(names: readonly string[]): BuildRow<From> {
  const properties = names.map((name, i) => `${property(name)}: value(from, ${i})`)
  // oxlint-disable-next-line typescript/no-implied-eval -- names are the only text in it, and each is a quoted literal
  return new Function('value', 'from', `return { ${properties.join(', ')} }`) as BuildRow<From>
}

/** `__proto__` is a property like others only where its name is computed. */
function property(name: string): string {
  return name === '__proto__' ? '["__proto__"]' : JSON.stringify(name)
}
