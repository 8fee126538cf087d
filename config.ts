/**
 * The configuration: environment variables, parsed once. The only file that reads the environment. Each option's name,
 * default and sentence stand here and are printed by `incidents --help` and `.env.example`.
 */
import { z } from 'zod'
import { PipelineError } from './core/error.ts'

const url = (protocols: readonly string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    error: `expected a URL that begins with ${protocols.map((each) => `${each}//`).join(' or ')}`,
  })

/** An `@` behind the host is a password that was not encoded: the parts are then not what they seem. */
const databaseUrl = url(['postgres:', 'postgresql:']).refine(
  (text) => !URL.canParse(text) || !new URL(text).href.replace(/^[^/]*\/\/[^/?#]*/, '').includes('@'),
  { error: 'expected #, /, ? and @ in user or password as %23, %2F, %3F and %40' },
)

const port = z.coerce.number().int().min(0).max(65_535)

interface Option {
  readonly schema: z.ZodType
  /** The default as a person would write it; absent when there is none. */
  readonly byDefault?: string
  /** Never printed. */
  readonly secret?: boolean
  readonly says: string
}

export const OPTIONS = {
  DATABASE_URL: {
    schema: databaseUrl.optional(),
    secret: true,
    says: 'The incident database: PostgreSQL 15 or later.',
  },
  NAMESPACE: {
    schema: z
      .string()
      .regex(/^[a-z][a-z0-9_]{0,39}$/, 'expected lower-case letters, digits and underscores, at most 40')
      .default('incidents'),
    byDefault: 'incidents',
    says: 'Prefix of topics, consumer groups and transactional ids, and the name of slot and publication.',
  },
  UNIFIED_TOPIC: {
    schema: z
      .string()
      .regex(/^[\w.-]{1,200}$/, 'expected letters, digits, dots, dashes and underscores')
      .optional(),
    byDefault: 'NAMESPACE.unified',
    says: 'The governed topic of the unified entities; another one after `replay --rebuild --sink unified`.',
  },
  STATE_DIR: {
    schema: z.string().min(1).default('.incidents'),
    byDefault: '.incidents',
    says: 'What this process keeps on disk; locked by it.',
  },
  KAFKA_BROKERS: {
    schema: z
      .string()
      .regex(/^[^\s,:/]+:\d{1,5}(,[^\s,:/]+:\d{1,5})*$/, 'expected host:port, separated by commas')
      .optional(),
    says: 'host:port, separated by commas. Needed by capture, unify and deliver; refused by run.',
  },
  KAFKA_PARTITIONS: {
    schema: z.coerce.number().int().min(1).max(1000).default(6),
    byDefault: '6',
    says: 'Partitions of a topic that is made; fixed from then on.',
  },
  KAFKA_SSL_CA: {
    schema: z.string().min(1).optional(),
    says: "File with the brokers' certificate authority; turns TLS on.",
  },
  KAFKA_SASL_USERNAME: { schema: z.string().min(1).optional(), says: 'Turns SCRAM-SHA-512 on.' },
  KAFKA_SASL_PASSWORD: { schema: z.string().min(1).optional(), secret: true, says: 'Its password.' },
  SCHEMA_REGISTRY_URL: {
    schema: url(['http:', 'https:']).optional(),
    says: "A registry with Confluent's API. Needed with KAFKA_BROKERS.",
  },
  SCHEMA_REGISTRY_AUTH: {
    schema: z
      .string()
      .regex(/^[^:]+:.*$/, 'expected user:password')
      .optional(),
    secret: true,
    says: 'user:password.',
  },
  DPR_DIR: {
    schema: z.string().min(1).optional(),
    byDefault: 'STATE_DIR/dpr',
    says: "Where DPR's raw zone lies: a folder, or s3://bucket/prefix.",
  },
  DPR_ARCHIVE_DIR: {
    schema: z.string().min(1).optional(),
    says: "Where DPR's jobs archive the raw zone's files, as <source>/<table>/<file>: a folder, or s3://bucket/prefix. Read by reconcile and lineage, never written. Unset: nothing is archived.",
  },
  ANALYTICS_DIR: {
    schema: z.string().min(1).optional(),
    byDefault: 'STATE_DIR/analytics',
    says: 'Where the DuckDB file and its parquet lie.',
  },
  OPERATIONAL_DATABASE_URL: {
    schema: databaseUrl.optional(),
    byDefault: 'DATABASE_URL',
    secret: true,
    says: 'The operational store, which the API reads; its tables lie in schema prisons.',
  },
  PSEUDONYM_KEY: {
    schema: z.string().min(16, 'expected at least 16 characters').optional(),
    secret: true,
    says: 'Keys the pseudonyms; written id=secret, each begins with the id, which tells keys apart. Needed by run, unify and deliver.',
  },
  UNIFY_COMMIT_MS: {
    schema: z.coerce.number().int().min(1).max(60_000).default(100),
    byDefault: '100',
    says: 'How often the governed topics commit, in milliseconds.',
  },
  DPR_FLUSH_MS: {
    schema: z.coerce.number().int().min(1).max(600_000).default(10_000),
    byDefault: '10000',
    says: "How long a change may wait for its file in DPR's raw zone, in milliseconds.",
  },
  ANALYTICS_PUBLISH_MS: {
    schema: z.coerce.number().int().min(100).max(30_000).default(10_000),
    byDefault: '10000',
    says: 'How far the DuckDB file that analysts open may be behind, in milliseconds.',
  },
  TOPIC_MAX_BYTES: {
    schema: z.coerce
      .number()
      .int()
      .min(1 << 20)
      .default(20_000_000_000),
    byDefault: '20000000000',
    says: 'How large the embedded topics may grow before the source is left waiting.',
  },
  HOST: {
    schema: z.string().min(1).default('127.0.0.1'),
    byDefault: '127.0.0.1',
    says: 'The address that the API listens on; another than the loopback needs JWKS_URL.',
  },
  REPORT_SIGNING_KEY: {
    schema: z.string().min(1).optional(),
    says: 'File with the Ed25519 key (PEM) that signs the reports of reconcile; without it they are not signed.',
  },
  NOMIS_API_URL: { schema: url(['http:', 'https:']).optional(), says: "NOMIS's incident API, for migrate." },
  NOMIS_API_TOKEN: { schema: z.string().min(1).optional(), secret: true, says: 'The bearer token for it.' },
  API_URL: {
    schema: url(['http:', 'https:']).optional(),
    byDefault: 'in this process, on DATABASE_URL',
    says: 'The API that migrate posts to and the console asks; for the console http://127.0.0.1:PORT unless set.',
  },
  API_TOKEN: { schema: z.string().min(1).optional(), secret: true, says: 'The bearer token for it.' },
  PORT: { schema: port.default(8080), byDefault: '8080', says: 'The API.' },
  JWKS_URL: {
    schema: url(['http:', 'https:']).optional(),
    says: "The identity provider's keys, which sign the tokens of the API's callers. Without it no token is accepted.",
  },
  JWT_ISSUER: {
    schema: z.string().min(1).optional(),
    says: 'Tokens of any other issuer are refused; of any when it is not set.',
  },
  JWT_AUDIENCE: {
    schema: z.string().min(1).optional(),
    says: 'Tokens for any other audience are refused; for any when it is not set.',
  },
  CONSOLE_PORT: { schema: port.default(3000), byDefault: '3000', says: "The console's pages." },
  CONSOLE_URL: {
    schema: url(['http:', 'https:']).optional(),
    byDefault: 'http://localhost:CONSOLE_PORT',
    says: 'Where people open the console; with https its cookies are secure.',
  },
  SESSION_SECRET: {
    schema: z.string().min(32, 'expected at least 32 characters').optional(),
    secret: true,
    says: "Encrypts the console's sessions; the same for each of its processes. Needed by the console.",
  },
  OAUTH_AUTHORIZE_URL: {
    schema: url(['http:', 'https:']).optional(),
    says: 'Where people sign in to the console, by the code flow; run serves the console only when it is set.',
  },
  OAUTH_TOKEN_URL: { schema: url(['http:', 'https:']).optional(), says: 'Where the console gets their tokens.' },
  OAUTH_CLIENT_ID: { schema: z.string().min(1).optional(), says: 'The console, as the identity provider knows it.' },
  OAUTH_CLIENT_SECRET: { schema: z.string().min(1).optional(), secret: true, says: 'Its secret there.' },
  METRICS_PORT: { schema: port.default(9400), byDefault: '9400', says: 'Metrics, on 127.0.0.1; 0 for none.' },
  NODE_ENV: {
    schema: z.string().min(1).optional(),
    says: 'production refuses the demo, which hands out tokens to whoever asks.',
  },
  LOG_LEVEL: {
    schema: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent']).default('info'),
    byDefault: 'info',
    says: 'Logs go to stderr as JSON lines.',
  },
} as const satisfies Record<string, Option>

type Name = keyof typeof OPTIONS
export type Config = { readonly [K in Name]: z.infer<(typeof OPTIONS)[K]['schema']> }

/** CONFIG names the variable, what was given (unless it is a secret) and what is accepted. */
export function parseConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const parsed: Record<string, unknown> = {}
  for (const [name, option] of Object.entries(OPTIONS) as [Name, Option][]) {
    const given = environment[name] === '' ? undefined : environment[name]
    const result = option.schema.safeParse(given)
    if (!result.success) {
      const shown = option.secret === true ? 'a secret value' : `"${given}"`
      throw new PipelineError(
        'CONFIG',
        `${name} is ${shown}: ${result.error.issues[0]?.message ?? 'not accepted'}`,
        `Set ${name}. ${option.says}`,
      )
    }
    parsed[name] = result.data
  }
  if (parsed['KAFKA_SASL_USERNAME'] !== undefined) required(parsed as Config, 'KAFKA_SASL_PASSWORD')
  return Object.freeze(parsed) as Config
}

/** A value that a command cannot do without. */
export function required<K extends Name>(config: Config, name: K): NonNullable<Config[K]> {
  const value = config[name]
  if (value !== undefined) return value as NonNullable<Config[K]>
  throw new PipelineError('CONFIG', `${name} is not set`, `Set ${name}. ${OPTIONS[name].says}`)
}
