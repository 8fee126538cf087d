/** A Confluent-compatible schema registry (Confluent's own, Apicurio's ccompat API). */
import { SchemaRegistry, type COMPATIBILITY } from '@kafkajs/confluent-schema-registry'
import { PipelineError } from '../core/error.ts'
import { checkSchema } from './compatibility.ts'
import { incompatible, invalidSchema, strictest, unknownSchema } from './registry-rules.ts'
import type { AvroSchema, Compatibility, ListedRegistry } from './registry.ts'

export interface RegistryOptions {
  /** Up to and with the API's path; credentials in it are used and never shown. */
  readonly url: string
  readonly auth?: { readonly username: string; readonly password: string }
}

/**
 * Asks the registry once for each schema and id. A subject gets its level before its first version; a level that
 * somebody has set is raised where it is weaker, never lowered.
 */
export function httpRegistry(options: RegistryOptions): ListedRegistry {
  const { url, auth } = address(options)
  const client = new SchemaRegistry({ host: url, retry: PATIENCE, ...(auth === null ? {} : { auth }) })
  // The client has no public call for a subject's level and for the schema's own text, but its API description has.
  const api = client['api']
  const ids = new Map<string, Promise<number>>()
  const schemas = new Map<number, Promise<AvroSchema>>()
  const levels = new Map<string, Promise<Compatibility>>()

  const ask = async <T>(work: () => Promise<T>, expected: (status: number, message: string) => unknown): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      if (error instanceof PipelineError) throw error
      const { status = 0, message = String(error) } = error as { status?: number; message?: string }
      throw expected(status, message.replace(/^\S+ - /, '')) ?? unreachable(url, message, error)
    }
  }

  /** Null where the registry has nothing under that name. */
  const askForSome = <T>(work: () => Promise<T>): Promise<T | null> =>
    ask(work, () => null).catch((error: unknown) => {
      if (((error as Error).cause as { status?: number } | undefined)?.status === 404) return null
      throw error
    })

  const levelOf = (subject: string): Promise<string | null> =>
    askForSome(
      async () => ((await api.Subject.config({ subject })).data() as { compatibilityLevel: string }).compatibilityLevel,
    )

  /** The subject's level, set or raised where it is not yet what is needed. */
  async function settle(subject: string, wanted: Compatibility): Promise<Compatibility> {
    const current = (await levelOf(subject)) ?? 'NONE'
    const level = strictest(current, wanted)
    if (level === current) return level
    await ask(
      () => api.Subject.updateConfig({ subject, body: { compatibility: level } }) as Promise<unknown>,
      () => null,
    )
    return level
  }

  async function register(subject: string, schema: AvroSchema, wanted: Compatibility): Promise<number> {
    const invalid = checkSchema(schema)
    if (invalid !== null) throw invalidSchema(subject, invalid)
    const level = await once(levels, `${wanted} ${subject}`, () => againIfMet(() => settle(subject, wanted)))
    const registered = await ask(
      () =>
        client.register(schema as unknown as Parameters<typeof client.register>[0], {
          subject,
          compatibility: level as COMPATIBILITY,
          updateConfig: false,
        }),
      (status, message) => {
        if (status === CONFLICT) return incompatible(subject, null, level, message)
        if (status === 422) return invalidSchema(subject, message)
        return null
      },
    )
    return registered.id
  }

  return {
    register: (subject, schema, compatibility) =>
      once(ids, `${compatibility} ${subject} ${JSON.stringify(schema)}`, () =>
        register(subject, schema, compatibility),
      ),
    schema: (id) =>
      once(schemas, id, async () => {
        const { schema } = await ask(
          async () => (await api.Schema.find({ id })).data() as { schema: string },
          (status) => (status === 404 ? unknownSchema(id, url) : null),
        )
        return JSON.parse(schema) as AvroSchema
      }),
    versions: async (subject) => {
      const latest = await askForSome(async () => (await api.Subject.latestVersion({ subject })).data() as Version)
      const found: AvroSchema[] = []
      for (let version = 1; version <= (latest?.version ?? 0); version++) {
        // one that was deleted leaves a gap
        const each = await askForSome(async () => (await api.Subject.version({ subject, version })).data() as Version)
        if (each !== null) found.push(JSON.parse(each.schema) as AvroSchema)
      }
      return found
    },
    level: levelOf,
  }
}

/**
 * A registry that is restarted, or has closed an idle connection, costs no stage its start: within some three seconds each
 * request is made again, writes too, since to register or to set a level twice is to do it once.
 */
const PATIENCE = { retries: 5, initialRetryTimeInSecs: 0.1, multiplier: 2, enableRetry: () => true }

interface Version {
  readonly version: number
  readonly schema: string
}

const CONFLICT = 409

/** Two processes that start at once do the same for a new subject: who comes second looks again at what is there then. */
async function againIfMet<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (((error as Error).cause as { status?: number } | undefined)?.status !== CONFLICT) throw error
    return work()
  }
}

/** Remembers what came, and forgets what failed. */
function once<K, V>(known: Map<K, Promise<V>>, key: K, get: () => Promise<V>): Promise<V> {
  const found = known.get(key)
  if (found !== undefined) return found
  const asked = get()
  known.set(key, asked)
  asked.catch(() => known.delete(key))
  return asked
}

function address(options: RegistryOptions): { url: string; auth: { username: string; password: string } | null } {
  const url = new URL(options.url)
  const inUrl =
    url.username === ''
      ? null
      : { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }
  url.username = ''
  url.password = ''
  return { url: url.href.replace(/\/$/, ''), auth: options.auth ?? inUrl }
}

function unreachable(url: string, message: string, cause: unknown): PipelineError {
  return new PipelineError(
    'REGISTRY',
    `The schema registry at ${url} does not answer as it should: ${message}.`,
    'Check SCHEMA_REGISTRY_URL, SCHEMA_REGISTRY_AUTH and that the registry runs.',
    { cause },
  )
}
