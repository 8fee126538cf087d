/** `incidents source …` */
import { runtimeBeside } from './beside.ts'
import { required, type Config } from '../config.ts'
import { adoption, dropPublication, dropSlot } from '../connectors/postgres/adopt.ts'
import { connect, disconnect } from '../connectors/postgres/session.ts'
import { initSource } from '../connectors/postgres/source-schema.ts'
import { EXIT, PipelineError } from '../core/error.ts'
import type { Message } from '../core/message.ts'
import { epochOf } from '../core/position.ts'
import { rawDecoder } from '../schemas/raw-decoder.ts'
import { rawEncoder } from '../schemas/raw-encoder.ts'
import { readTails } from '../transport/recovery.ts'
import { lockStateDirectory } from '../transport/state-directory.ts'
import type { Topic } from '../transport/topic.ts'

/** Exit 0 when the schema was applied or nothing is missing, 3 when something is. */
export async function sourceInit(config: Config, options: { readonly json?: boolean }): Promise<number> {
  const result = await initSource(required(config, 'DATABASE_URL'), { publication: config.NAMESPACE })
  const missing = result.applied ? [] : result.missing
  if (options.json === true) process.stdout.write(`${JSON.stringify({ applied: result.applied, missing })}\n`)
  else process.stdout.write(`${told(result.applied, missing)}\n`)
  return missing.length === 0 ? EXIT.done : EXIT.configuration
}

function told(applied: boolean, missing: readonly string[]): string {
  if (applied) return 'The source schema was applied to the empty database.'
  if (missing.length === 0) return 'The database has everything; nothing was changed.'
  return [
    'The database is not empty; nothing was changed. Missing:',
    ...missing.map((sentence) => `  ${sentence}`),
  ].join('\n')
}

export interface SourceChangeOptions {
  readonly yes?: boolean
  readonly json?: boolean
}

/**
 * Drops slot and publication. CONFIG without `--yes`; STATE_LOCKED or SLOT_IN_USE while capture runs: in its first snapshot
 * nobody reads the slot, so the slot alone does not tell.
 */
export async function sourceDrop(config: Config, options: SourceChangeOptions): Promise<number> {
  if (options.yes !== true) {
    throw new PipelineError(
      'CONFIG',
      'source drop would lose what the slot still holds',
      'Say --yes: afterwards only `incidents source adopt` makes the places follow the source again.',
    )
  }
  const url = required(config, 'DATABASE_URL')
  const lock = await lockStateDirectory(config.STATE_DIR)
  try {
    const { slot, publication } = await dropBoth(url, config.NAMESPACE)
    const said = [slot ? 'the slot' : null, publication ? 'the publication' : null].filter((each) => each !== null)
    if (options.json === true) process.stdout.write(`${JSON.stringify({ slot, publication })}\n`)
    else process.stdout.write(said.length === 0 ? 'Nothing was there.\n' : `Dropped ${said.join(' and ')}.\n`)
    return EXIT.done
  } finally {
    lock.release()
  }
}

async function dropBoth(url: string, name: string): Promise<{ slot: boolean; publication: boolean }> {
  const client = await connect(url)
  try {
    return { slot: await dropSlot(client, name), publication: await dropPublication(client, name) }
  } finally {
    await disconnect(client)
  }
}

/**
 * Accepts the source as it is now: a new epoch begins, and capture reads everything again when it starts and deletes what
 * is gone. STATE_LOCKED or SLOT_IN_USE while capture runs.
 */
export async function sourceAdopt(config: Config, options: SourceChangeOptions): Promise<number> {
  const url = required(config, 'DATABASE_URL')
  const lock = await lockStateDirectory(config.STATE_DIR)
  try {
    const { raw, registry, transport } = await runtimeBeside(config)
    try {
      const client = await connect(url)
      await dropSlot(client, config.NAMESPACE).finally(() => disconnect(client))
      const { markers, behind } = await adoption({
        url,
        slot: config.NAMESPACE,
        stateDirectory: config.STATE_DIR,
        tails: await readTails(raw, rawDecoder(registry)),
        ends: await endsOf(raw),
      })
      const database = new URL(url).pathname.slice(1)
      const encoder = rawEncoder({ registry, topic: raw.name, namespace: config.NAMESPACE, database })
      await writeBehind(raw, await encoder.encode(markers), behind)
      const epoch = epochOf(markers[0]!.position)
      if (options.json === true) process.stdout.write(`${JSON.stringify({ epoch })}\n`)
      else process.stdout.write(`The source is adopted as epoch ${epoch}: start capture, and it reads everything.\n`)
      return EXIT.done
    } finally {
      await transport.close()
    }
  } finally {
    lock.release()
  }
}

async function endsOf(topic: Topic): Promise<number[]> {
  return (await topic.bounds()).map(({ high }) => high)
}

const FILLED_AT_ONCE = 10_000

/** Writes each message at least once, and again until its partition ends at `behind`; compaction keeps one. */
async function writeBehind(topic: Topic, messages: readonly Message[], behind: readonly number[]): Promise<void> {
  await topic.write(messages)
  const ends = await endsOf(topic)
  for (const message of messages) {
    const end = ends[message.partition]!
    for (let left = (behind[message.partition] ?? 0) - end; left > 0; left -= FILLED_AT_ONCE)
      await topic.write(Array.from({ length: Math.min(left, FILLED_AT_ONCE) }, () => message))
  }
}
