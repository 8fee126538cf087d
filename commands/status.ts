/** `incidents status` */
import type { Config } from '../config.ts'
import { EXIT } from '../core/error.ts'
import { logger, metrics } from '../observability.ts'
import { embeddedRuntime, kafkaRuntime, SINKS } from '../pipeline.ts'
import { readStatus, type Status } from '../proof/status.ts'
import { topics } from '../transport/topics.ts'
import { sleep } from './supervision.ts'

export interface StatusCommandOptions {
  readonly watch?: boolean
  readonly json?: boolean
}

/** Exit 0; the codes of source, broker or registry when one of them does not answer. */
export async function status(config: Config, options: StatusCommandOptions, signal: AbortSignal): Promise<number> {
  const open = config.KAFKA_BROKERS === undefined ? embeddedRuntime : kafkaRuntime
  const runtime = await open({ config, log: logger(config.LOG_LEVEL), metrics: metrics() })
  try {
    const deadLetters = await runtime.transport.topic(topics(config.NAMESPACE).deadLetters)
    const groups = new Map(['unify', ...SINKS].map((name) => [name, `${config.NAMESPACE}.${name}`]))
    do {
      const found = await readStatus({
        ...runtime,
        databaseUrl: config.DATABASE_URL,
        slot: config.NAMESPACE,
        deadLetters,
        groups,
      })
      process.stdout.write(options.json === true ? `${JSON.stringify(found)}\n` : `${told(found)}\n`)
      if (options.watch === true) await sleep(2_000, signal)
    } while (options.watch === true && !signal.aborted)
  } finally {
    await runtime.transport.close()
  }
  return EXIT.done
}

function told({ slot, capturedTo, snapshotDone, rawRecords, deadLetters, readers }: Status): string {
  return [
    slot === null
      ? 'slot         none'
      : `slot         ${slot.name} ${slot.active ? 'read' : 'not read'}, ${slot.walStatus}, confirmed ${slot.confirmedLsn}, ` +
        `holds ${megabytes(slot.heldBytes)}, ${limit(slot.leftBytes, slot.secondsToLoss)}`,
    `captured to  ${capturedTo === null ? 'nothing yet' : `${capturedTo.lsn}, as of ${capturedTo.at}`}${snapshotDone ? '' : ' (first snapshot not whole)'}`,
    `raw topic    ${rawRecords.toLocaleString('en')} records`,
    ...readers.map((reader) => `${reader.name.padEnd(12)} ${reader.behindRecords.toLocaleString('en')} records behind`),
    `dead letters ${deadLetters.toLocaleString('en')}`,
  ].join('\n')
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

function limit(leftBytes: number | null, seconds: number | null): string {
  if (leftBytes === null) return 'without limit'
  const time = seconds === null ? '' : `, lost in ${seconds} s at the present rate`
  return `${megabytes(leftBytes)} left${time}`
}
