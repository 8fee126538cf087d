/** A registry that forgets: ids in order of first registration, no compatibility rules. */
import type { AvroSchema, Registry } from '../../schemas/registry.ts'

export function memoryRegistry(): Registry {
  const ids = new Map<string, number>()
  const schemas: AvroSchema[] = []
  return {
    register: async (_subject, schema) => {
      const text = JSON.stringify(schema)
      const known = ids.get(text)
      if (known !== undefined) return known
      const id = schemas.push(schema)
      ids.set(text, id)
      return id
    },
    schema: async (id) => schemas[id - 1]!,
  }
}
