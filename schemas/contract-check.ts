/** Whether a contract may follow what was published before it, and whom it would break. */
import { checkCompatibility } from './compatibility.ts'
import { contractDigest, type Contract } from './contracts.ts'
import { readersOf, readersOfField } from './consumers.ts'
import type { AvroSchema } from './registry.ts'

/** One earlier version, and where it was found. */
export interface Version {
  /** `registry version 2`, `commit 67d5b19`. */
  readonly origin: string
  readonly schema: AvroSchema
}

export interface Finding {
  readonly contract: string
  readonly file: string
  /** The earlier version that does not go together with this one. */
  readonly with: string
  readonly reason: string
  /** Fields that are gone, new or of another type. */
  readonly fields: readonly string[]
  /** Who reads this record there, those that read one of the fields first. */
  readonly breaks: readonly string[]
}

/** What stands against each earlier version; none when all of them and this one read each other (FULL_TRANSITIVE). */
export function checkContract(contract: Contract, earlier: readonly Version[], topic: string): Finding[] {
  return earlier.flatMap(({ origin, schema }) => {
    const reason = checkCompatibility(contract.schema, [schema], 'FULL_TRANSITIVE')
    if (reason === null) return []
    const fields = changedFields(schema, contract.schema)
    const first = fields.flatMap((field) => readersOfField(topic, contract.name, field))
    const breaks = [...new Set([...first, ...readersOf(topic, contract.name)])]
    const { name, file } = contract
    return [{ contract: name, file, with: origin, reason: reason.replaceAll('version 1', origin), fields, breaks }]
  })
}

/** Each version once, the first place where it was found first; the withdrawn ones left out. */
export function distinct(name: string, versions: readonly Version[], withdrawn: ReadonlySet<string>): Version[] {
  const byDigest = new Map<string, Version>()
  for (const version of versions) {
    const digest = contractDigest(version.schema)
    if (!byDigest.has(digest) && !withdrawn.has(`${name} ${digest}`)) byDigest.set(digest, version)
  }
  return [...byDigest.values()]
}

function changedFields(before: AvroSchema, after: AvroSchema): string[] {
  const [old, now] = [typesOf(before), typesOf(after)]
  return [...new Set([...old.keys(), ...now.keys()])].filter((name) => old.get(name) !== now.get(name))
}

function typesOf(schema: AvroSchema): Map<string, string> {
  const { fields = [] } = schema as unknown as { fields?: readonly { name: string; type: unknown }[] }
  return new Map(fields.map(({ name, type }) => [name, JSON.stringify(type)]))
}
