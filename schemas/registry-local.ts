/** A schema registry in this process, for the embedded runtime: ids are kept in `registry.json` of a directory. */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PipelineError } from '../core/error.ts'
import { checkCompatibility, checkSchema } from './compatibility.ts'
import { incompatible, invalidSchema, strictest, unknownSchema } from './registry-rules.ts'
import type { AvroSchema, Compatibility, ListedRegistry } from './registry.ts'

/** Rises when the file's shape changes. */
const VERSION = 1

interface State {
  readonly version: number
  /** A schema's id is its index + 1. */
  readonly schemas: AvroSchema[]
  readonly subjects: Record<string, Subject>
}

interface Subject {
  level: Compatibility
  /** Ids, oldest first. */
  readonly versions: number[]
}

/**
 * Schemas of the same JSON text have one id, under whatever subjects. A subject's level only ever rises. STATE_VERSION
 * when a newer version wrote the file, SINK when it cannot be read or written.
 */
export function localRegistry(directory: string): ListedRegistry {
  const file = join(directory, 'registry.json')
  let state = read(file)
  let ids = idsByText(state)

  function reload(): void {
    state = read(file)
    ids = idsByText(state)
  }

  return {
    register: async (subject, schema, compatibility) => {
      const text = JSON.stringify(schema)
      const known = ids.get(text)
      const before: Subject = state.subjects[subject] ?? { level: compatibility, versions: [] }
      if (known !== undefined && before.versions.includes(known)) return known
      const invalid = checkSchema(schema)
      if (invalid !== null) throw invalidSchema(subject, invalid)
      const level = strictest(before.level, compatibility)
      const versions = before.versions.map((id) => state.schemas[id - 1]!)
      const reason = checkCompatibility(schema, versions, level)
      if (reason !== null) throw incompatible(subject, versions.length + 1, level, reason)

      const id = known ?? state.schemas.length + 1
      const next: State = {
        version: VERSION,
        schemas: known === undefined ? [...state.schemas, schema] : state.schemas,
        subjects: { ...state.subjects, [subject]: { level, versions: [...before.versions, id] } },
      }
      write(directory, file, next)
      state = next
      ids.set(text, id)
      return id
    },
    schema: async (id) => {
      if (state.schemas[id - 1] === undefined) reload() // a command beside the process that registers
      const found = state.schemas[id - 1]
      if (found === undefined) throw unknownSchema(id, file)
      return found
    },
    versions: async (subject) => {
      reload()
      return (state.subjects[subject]?.versions ?? []).map((id) => state.schemas[id - 1]!)
    },
    level: async (subject) => {
      reload()
      return state.subjects[subject]?.level ?? null
    },
  }
}

function idsByText(state: State): Map<string, number> {
  return new Map(state.schemas.map((schema, index) => [JSON.stringify(schema), index + 1]))
}

function read(file: string): State {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { version: VERSION, schemas: [], subjects: {} }
    throw unusable(file, error)
  }
  let state: State
  try {
    state = JSON.parse(text) as State
  } catch (error) {
    throw unusable(file, error)
  }
  if (state.version <= VERSION) return state
  throw new PipelineError(
    'STATE_VERSION',
    `The registry file ${file} has format ${state.version}; this version reads up to ${VERSION}.`,
    'Start the version that wrote it, or give another STATE_DIR.',
  )
}

/** The old file or the new one, never half of it. */
function write(directory: string, file: string, state: State): void {
  const next = `${file}.next`
  try {
    mkdirSync(directory, { recursive: true })
    const handle = openSync(next, 'w')
    try {
      writeFileSync(handle, JSON.stringify(state)) // whole, or it throws: a device that fills up takes a part of one write
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
    renameSync(next, file)
    const folder = openSync(directory, 'r')
    try {
      fsyncSync(folder)
    } finally {
      closeSync(folder)
    }
  } catch (error) {
    throw unusable(file, error)
  }
}

function unusable(file: string, error: unknown): PipelineError {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOSPC') {
    return new PipelineError('DISK_FULL', `No space is left for the registry file ${file}.`, 'Free space on it.', {
      cause: error,
    })
  }
  return new PipelineError(
    'SINK',
    `The registry file ${file} cannot be used: ${message}.`,
    'Check the directory and its owner; a damaged file must be restored from a copy, since topics name its ids.',
    { cause: error },
  )
}
