/** Every contract with its versions, what the policy makes of its fields, and who reads them. */
import type { Config } from '../config.ts'
import type { SubjectState } from '../console/contract-state.ts'
import { openRegistry, topicsOf } from '../runtime.ts'
import { CONSUMERS } from '../schemas/consumers.ts'
import { contractDigest, contracts, subjectOf } from '../schemas/contracts.ts'
import { clearances } from '../schemas/policy/clearances.ts'
import type { AvroSchema } from '../schemas/registry.ts'
import { topics } from '../transport/topics.ts'

/** Rejects where the registry does not answer. */
export async function contractsNow(config: Config): Promise<SubjectState[]> {
  const listed = openRegistry(config)
  const cleared = clearances()
  const names = topicsOf(config)
  return Promise.all(
    contracts().map(async (contract) => {
      const subject = subjectOf(contract, names)
      const versions = await listed.versions(subject)
      const listedVersions = versions.length === 0 ? [contract.schema] : versions
      const { name } = contract
      return {
        subject,
        record: name,
        topic: names[contract.topic].name,
        digest: contractDigest(contract.schema),
        level: await listed.level(subject),
        versions: listedVersions.map((schema, i) => ({ version: i + 1, fields: fieldsOf(schema) })),
        clearances: Object.fromEntries(
          Object.entries(cleared).flatMap(([output, entities]) =>
            entities[name] === undefined ? [] : [[output, entities[name]]],
          ),
        ),
        consumers: CONSUMERS.flatMap(({ consumer, reads }) =>
          reads.flatMap(({ from, fields }) => {
            // consumers are listed by the topics' own names, whatever the namespace here
            const topic = Object.values(topics('incidents')).some((each) => each.name === from)
            if (fields[name] === undefined) return []
            return topic && from !== topics('incidents')[contract.topic].name
              ? []
              : [{ consumer, from, fields: fields[name] }]
          }),
        ),
      }
    }),
  )
}

function fieldsOf(schema: AvroSchema): { name: string; type: string; meaning: string }[] {
  const { fields = [] } = schema as unknown as { fields?: { name: string; type: AvroSchema; doc?: string }[] }
  return fields.map(({ name, type, doc }) => ({ name, type: typeText(type), meaning: doc ?? '' }))
}

function typeText(type: AvroSchema): string {
  if (typeof type === 'string') return type
  if (Array.isArray(type)) return type.map((each) => typeText(each as AvroSchema)).join(' or ')
  const { type: name, logicalType, items } = type as { type: string; logicalType?: string; items?: AvroSchema }
  if (items !== undefined) return `list of ${typeText(items)}`
  return logicalType ?? (typeof name === 'string' ? name : typeText(name))
}
