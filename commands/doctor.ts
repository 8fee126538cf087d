/** `incidents doctor` */
import { required, type Config } from '../config.ts'
import { examineSource } from '../connectors/postgres/doctor.ts'
import { connect, disconnect } from '../connectors/postgres/session.ts'
import { EXIT } from '../core/error.ts'
import type { Finding } from '../core/finding.ts'
import { kafkaOptions } from '../runtime.ts'
import { examineTopics } from '../transport/kafka-doctor.ts'
import { topics } from '../transport/topics.ts'

export interface DoctorCommandOptions {
  readonly json?: boolean
  /** A transaction that has been idle for longer is found. */
  readonly idle: number
}

/** Exit 0 when nothing is found, 1 when something is; the codes of source or broker when one does not answer. */
export async function doctor(config: Config, options: DoctorCommandOptions): Promise<number> {
  const findings = [...(await ofSource(config, options.idle)), ...(await ofTopics(config))]
  process.stdout.write(options.json === true ? `${JSON.stringify({ findings })}\n` : `${told(findings)}\n`)
  return findings.length === 0 ? EXIT.done : EXIT.difference
}

/** Long enough to see a rate, short enough to wait for. */
const SAMPLE_MS = 1_000

async function ofSource(config: Config, idleSeconds: number): Promise<readonly Finding[]> {
  const client = await connect(required(config, 'DATABASE_URL'))
  try {
    return await examineSource(client, {
      publication: config.NAMESPACE,
      slot: config.NAMESPACE,
      idleSeconds,
      sampleMs: SAMPLE_MS,
    })
  } finally {
    await disconnect(client)
  }
}

async function ofTopics(config: Config): Promise<readonly Finding[]> {
  if (config.KAFKA_BROKERS === undefined) return []
  const { raw, unified, events, deadLetters } = topics(config.NAMESPACE)
  const { partitions, ...client } = kafkaOptions(config)
  return examineTopics(client, { topics: [raw, unified, events, deadLetters], privateTopic: raw.name, partitions })
}

/** Findings as comments between the statements that mend them, so that the whole can be run after it was read. */
function told(findings: readonly Finding[]): string {
  if (findings.length === 0) return '-- Nothing was found: the pipeline can run.'
  return findings.map(({ check, severity, found, mend }) => `-- ${severity} ${check}: ${found}\n${mend}`).join('\n\n')
}
