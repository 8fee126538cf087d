/** `incidents status` */
import { runtimeBeside } from './beside.ts'
import type { Config } from '../config.ts'
import { EXIT } from '../core/error.ts'
import { SINKS } from '../sinks/names.ts'
import { analyticsDirectory } from '../runtime.ts'
import { readStatus, type ReaderStatus, type Status } from '../proof/status.ts'
import { topics } from '../transport/topics.ts'
import { pause } from '../core/pause.ts'

export interface StatusCommandOptions {
  readonly watch?: boolean
  readonly json?: boolean
}

/** Exit 0; the codes of source, broker or registry when one of them does not answer. */
export async function status(config: Config, options: StatusCommandOptions, signal: AbortSignal): Promise<number> {
  const runtime = await runtimeBeside(config)
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
        analyticsDirectory: analyticsDirectory(config),
      })
      process.stdout.write(options.json === true ? `${JSON.stringify(found)}\n` : `${told(found, config)}\n`)
      if (options.watch === true) await pause(2_000, signal)
    } while (options.watch === true && !signal.aborted)
  } finally {
    await runtime.transport.close()
  }
  return EXIT.done
}

function told(
  { slot, capturedTo, snapshotDone, stopped, rawRecords, deadLetters, unclassified, readers, publishedCopy }: Status,
  { DATABASE_URL: url }: Config,
): string {
  return [
    slot === null
      ? `slot         ${url === undefined ? 'not looked at: DATABASE_URL is not set' : 'none'}`
      : `slot         ${slot.name} ${slot.active ? 'read' : 'not read'}, ${slot.walStatus}, confirmed ${slot.confirmedLsn}, ` +
        `holds ${megabytes(slot.heldBytes)}, ${limit(slot.leftBytes, slot.secondsToLoss)}`,
    `captured to  ${capturedTo === null ? 'nothing yet' : `${capturedTo.lsn}, as of ${capturedTo.at}`}${snapshotDone ? '' : ' (first snapshot not whole)'}`,
    ...stopped.map((table) => `stopped      ${table}: its changes are not followed until it is repaired`),
    `raw topic    ${rawRecords.toLocaleString('en')} records`,
    ...readers.map((reader) => `${reader.name.padEnd(12)} ${behindText(reader, readers)}`),
    ...(publishedCopy === null
      ? []
      : [`published    ${publishedCopy.at}, whole to ${publishedCopy.wholeTo ?? 'nothing yet'}`]),
    `dead letters ${deadLetters.toLocaleString('en')}`,
    ...Object.entries(unclassified ?? {}).map(
      ([table, columns]) => `withheld     ${columns.join(', ')} of ${table}: nobody has classified them`,
    ),
  ].join('\n')
}

/** Records stay in the topic until every reader has passed them. */
function behindText({ behindRecords }: ReaderStatus, readers: readonly ReaderStatus[]): string {
  const furthest = Math.max(...readers.map((reader) => reader.behindRecords))
  const holds = behindRecords > 0 && behindRecords === furthest ? ': what the topic cannot forget waits for it' : ''
  return `${behindRecords.toLocaleString('en')} records behind${holds}`
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

function limit(leftBytes: number | null, seconds: number | null): string {
  if (leftBytes === null) return 'without limit'
  const time = seconds === null ? '' : `, lost in ${seconds} s at the present rate`
  return `${megabytes(leftBytes)} left${time}`
}
