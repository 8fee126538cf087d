/**
 * Whether schemas of one subject can follow each other: Avro's rules of schema resolution, as Confluent's registry
 * applies them. avsc parses; the rules are here, because its resolvers say neither where nor why.
 */
import avro from 'avsc'
import type { AvroSchema, Compatibility } from './registry.ts'

/**
 * Why the schema may not follow the earlier versions (oldest first), in one sentence that names the version and the
 * field; null when it may. BACKWARD_TRANSITIVE: it reads what all of them wrote. FULL_TRANSITIVE: and they what it writes.
 */
export function checkCompatibility(
  schema: AvroSchema,
  earlier: readonly AvroSchema[],
  level: Compatibility,
): string | null {
  const type = parse(schema)
  for (const [index, each] of earlier.entries()) {
    const before = parse(each)
    const backward = unreadable(type, before)
    if (backward !== null) return `it cannot read what version ${index + 1} wrote: ${backward}`
    if (level !== 'FULL_TRANSITIVE') continue
    const forward = unreadable(before, type)
    if (forward !== null) return `version ${index + 1} cannot read what it writes: ${forward}`
  }
  return null
}

/** Why this is no Avro schema; null when it is one. */
export function checkSchema(schema: AvroSchema): string | null {
  try {
    parse(schema)
    return null
  } catch (error) {
    return (error as Error).message
  }
}

function parse(schema: AvroSchema): avro.Type {
  return avro.Type.forSchema(schema as avro.Schema, { wrapUnions: true })
}

/** What a reader of the left may find, by Avro's promotions. */
const PROMOTIONS: Readonly<Record<string, readonly string[]>> = {
  long: ['int'],
  float: ['int', 'long'],
  double: ['int', 'long', 'float'],
  string: ['bytes'],
  bytes: ['string'],
}

/** Why `reader` cannot read what `writer` wrote; null when it can. */
function unreadable(reader: avro.Type, writer: avro.Type): string | null {
  /** Pairs of named types that are being compared, or were: a recursive type is compatible unless something else is not. */
  const compared = new Set<string>()

  function compare(to: avro.Type, from: avro.Type, path: string): string | null {
    if (isUnion(from)) return firstOf(from.types, (branch) => compare(to, branch, path))
    if (isUnion(to)) {
      const reads = to.types.some((branch) => compareAlone(branch, from, path) === null)
      return reads ? null : `${where(path)} may be ${nameOf(from)}, which is not one of ${listOf(to.types)}`
    }
    if (to.typeName !== from.typeName) {
      if (PROMOTIONS[to.typeName]?.includes(from.typeName)) return null
      return `${where(path)} is ${nameOf(from)}, which cannot be read as ${nameOf(to)}`
    }
    if (to instanceof avro.types.ArrayType) {
      return compare(to.itemsType, (from as avro.types.ArrayType).itemsType, `${path}[]`)
    }
    if (to instanceof avro.types.MapType) {
      return compare(to.valuesType, (from as avro.types.MapType).valuesType, `${path}{}`)
    }
    if (to.name === undefined) return null
    if (to.name !== from.name) return `${where(path)} is named ${from.name}, not ${to.name}`
    return compareNamed(to, from, path)
  }

  /** A branch that does not match must leave nothing behind in `compared`. */
  function compareAlone(to: avro.Type, from: avro.Type, path: string): string | null {
    const before = [...compared]
    const reason = compare(to, from, path)
    if (reason === null) return null
    compared.clear()
    for (const pair of before) compared.add(pair)
    return reason
  }

  function compareNamed(to: avro.Type, from: avro.Type, path: string): string | null {
    if (to instanceof avro.types.FixedType) {
      const size = (from as avro.types.FixedType).size
      return to.size === size ? null : `${where(path)} has ${size} bytes, not ${to.size}`
    }
    if (to instanceof avro.types.EnumType) {
      if (enumDefault(to) !== undefined) return null
      const unknown = (from as avro.types.EnumType).symbols.find((symbol) => !to.symbols.includes(symbol))
      return unknown === undefined ? null : `${where(path)} may be ${unknown}, which is not a symbol of ${to.name}`
    }
    if (compared.has(to.name!)) return null
    compared.add(to.name!)
    const written = (from as avro.types.RecordType).fields
    return firstOf((to as avro.types.RecordType).fields, (field) => {
      const fieldPath = path === '' ? field.name : `${path}.${field.name}`
      const match =
        written.find((each) => each.name === field.name) ?? written.find((each) => field.aliases.includes(each.name))
      if (match !== undefined) return compare(field.type, match.type, fieldPath)
      return field.defaultValue() === undefined ? `field ${fieldPath} is not in it and has no default` : null
    })
  }

  return compare(reader, writer, '')
}

function isUnion(type: avro.Type): type is avro.types.WrappedUnionType {
  return type.typeName.startsWith('union:')
}

/** Not in avsc's types. */
function enumDefault(type: avro.types.EnumType): string | undefined {
  return (type as unknown as { default?: string }).default
}

function where(path: string): string {
  return path === '' ? 'the schema' : `field ${path}`
}

function nameOf(type: avro.Type): string {
  return type.name ?? type.typeName
}

function listOf(types: readonly avro.Type[]): string {
  return types.map(nameOf).join(', ')
}

function firstOf<T>(items: readonly T[], check: (item: T) => string | null): string | null {
  for (const item of items) {
    const reason = check(item)
    if (reason !== null) return reason
  }
  return null
}
