import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { localRegistry } from '../../schemas/registry-local.ts'
import type { Compatibility, Registry } from '../../schemas/registry.ts'

export interface TestRegistry extends Registry {
  /** What was registered, in order. */
  readonly subjects: ReadonlyMap<string, Compatibility>
}

/** The registry of the embedded runtime in a directory that goes with the test file; it tells what was registered. */
export function testRegistry(): TestRegistry {
  const directory = mkdtempSync(join(tmpdir(), 'incidents-registry-'))
  afterAll(() => rmSync(directory, { recursive: true }))
  const registry = localRegistry(directory)
  const subjects = new Map<string, Compatibility>()
  return {
    subjects,
    register: (subject, schema, compatibility) => {
      subjects.set(subject, compatibility)
      return registry.register(subject, schema, compatibility)
    },
    schema: (id) => registry.schema(id),
  }
}
