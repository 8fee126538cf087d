/** `incidents dead-letters list | show | replay | skip` */
import { runtimeBeside } from './beside.ts'
import { required, type Config } from '../config.ts'
import { ask } from '../connectors/postgres/requests.ts'
import { connect, disconnect } from '../connectors/postgres/session.ts'
import { EXIT, PipelineError } from '../core/error.ts'
import { lsnText } from '../core/position.ts'
import type { Runtime } from '../runtime.ts'
import {
  groupLetters,
  readLetters,
  rehearse,
  skipLetter,
  tableOf,
  type Letter,
  type LetterGroup,
  type Rehearsal,
} from '../proof/dead-letters.ts'
import type { Topic } from '../transport/topic.ts'
import { topics } from '../transport/topics.ts'

interface Output {
  readonly json?: boolean
}

/** Letters by code. Exit 0. */
export async function deadLettersList(config: Config, { json }: Output): Promise<number> {
  return withLetters(config, async ({ letters }) => {
    const groups = groupLetters(letters)
    print(json === true ? JSON.stringify({ groups, letters: letters.map(shown) }) : groupsText(groups, letters))
    return EXIT.done
  })
}

/** One letter. CONFIG when there is none with this id. */
export async function deadLettersShow(config: Config, id: string, { json }: Output): Promise<number> {
  return withLetters(config, async ({ letters }) => {
    const letter = shown(letterOf(letters, id))
    print(
      json === true
        ? JSON.stringify(letter)
        : Object.entries(letter)
            .map(([name, value]) => `${name.padEnd(12)} ${value ?? ''}`)
            .join('\n'),
    )
    return EXIT.done
  })
}

export interface ReplayOptions extends Output {
  readonly dryRun?: boolean
}

/**
 * Has capture read the rows again from the source, those of the letters named or of all that were not skipped; dry, it
 * only says what today's rules make of the records that were refused. Exit 1 when they still refuse one.
 */
export async function deadLettersReplay(
  config: Config,
  ids: readonly string[],
  { dryRun, json }: ReplayOptions,
): Promise<number> {
  return withLetters(config, async ({ letters, runtime: { raw, registry } }) => {
    const chosen =
      ids.length === 0 ? letters.filter(({ skipped }) => skipped === null) : ids.map((id) => letterOf(letters, id))
    const rehearsed = await rehearse(chosen, raw, registry)
    const requests = dryRun === true ? [] : await askAgain(config, rehearsed)
    const results = rehearsed.map(({ letter, result }) => ({ ...shown(letter), result }))
    print(json === true ? JSON.stringify({ results, requests }) : replayText(rehearsed, requests))
    return rehearsed.some(({ result }) => result.outcome === 'refused') ? EXIT.difference : EXIT.done
  })
}

export interface Asked {
  readonly table: string
  readonly rows: number
  readonly id: string
  readonly lsn: string
}

/** One request for each table; a row whose key nobody may tell is read again with its incident. */
export async function askAgain(config: Config, rehearsed: readonly Rehearsal[]): Promise<Asked[]> {
  if (rehearsed.length === 0) return []
  const client = await connect(required(config, 'DATABASE_URL'))
  const asked: Asked[] = []
  try {
    for (const [table, its] of Map.groupBy(rehearsed, ({ letter }) => tableOf(letter))) {
      const keys = its.flatMap(({ key }) => (key === null ? [] : [[...key]]))
      const unique = [...new Map(keys.map((key) => [JSON.stringify(key), key])).values()]
      if (unique.length === 0) continue
      const { id, lsn } = await ask(client, config.NAMESPACE, { kind: 'rows', table, keys: unique })
      asked.push({ table, rows: unique.length, id, lsn: lsnText(lsn) })
    }
    const keyless = rehearsed.filter(({ key, letter }) => key === null && letter.reference !== null)
    const references = [...new Set(keyless.map(({ letter }) => letter.reference!))]
    if (references.length > 0) {
      const { id, lsn } = await ask(client, config.NAMESPACE, { kind: 'incidents', references })
      asked.push({ table: 'incidents', rows: references.length, id, lsn: lsnText(lsn) })
    }
  } finally {
    await disconnect(client)
  }
  return asked
}

export interface SkipOptions extends Output {
  readonly by: string
  readonly reason: string
}

/** Gives a row up: recorded beside its letter for ever, and its incident stays incomplete. */
export async function deadLettersSkip(config: Config, id: string, { by, reason, json }: SkipOptions): Promise<number> {
  return withLetters(config, async ({ letters, topic, runtime }) => {
    const letter = letterOf(letters, id)
    const skipped = { by, reason, at: Date.now() }
    await skipLetter(letter, skipped, topic, runtime.registry)
    print(
      json === true
        ? JSON.stringify(shown({ ...letter, skipped }))
        : `${id} is skipped; its incident stays incomplete.`,
    )
    return EXIT.done
  })
}

interface Opened {
  readonly runtime: Runtime
  readonly topic: Topic
  readonly letters: readonly Letter[]
}

async function withLetters(config: Config, work: (opened: Opened) => Promise<number>): Promise<number> {
  const runtime = await runtimeBeside(config)
  try {
    const topic = await runtime.transport.topic(topics(config.NAMESPACE).deadLetters)
    const letters = await readLetters(topic, runtime.registry)
    return await work({ runtime, topic, letters })
  } finally {
    await runtime.transport.close()
  }
}

function letterOf(letters: readonly Letter[], id: string): Letter {
  const found = letters.find((letter) => letter.id === id)
  if (found !== undefined) return found
  throw new PipelineError(
    'CONFIG',
    `no dead letter is about the record ${id} of the raw topic`,
    'Give partition/offset as `incidents dead-letters list` prints it.',
  )
}

/** As people read it. */
function shown({ id, at, skipped, ...letter }: Letter) {
  return {
    id,
    at: new Date(at).toISOString(),
    ...letter,
    skipped: skipped === null ? null : `by ${skipped.by} at ${new Date(skipped.at).toISOString()}: ${skipped.reason}`,
  }
}

function groupsText(groups: readonly LetterGroup[], letters: readonly Letter[]): string {
  if (groups.length === 0) return 'No dead letters.'
  return groups
    .flatMap(({ code, letters: count, skipped, firstSeen, lastSeen, incidents }) => [
      `${code}: ${count} letters, ${skipped} skipped, ${incidents.length} incidents, ${firstSeen} to ${lastSeen}`,
      ...letters
        .filter((letter) => letter.code === code)
        .slice(-SHOWN)
        .map((letter) => `  ${letter.id}  ${tableOf(letter)}  incident ${letter.reference ?? 'unknown'}`),
    ])
    .join('\n')
}

/** How many letters of one code are listed for people; `--json` has all. */
const SHOWN = 20

function replayText(rehearsed: readonly Rehearsal[], requests: readonly Asked[]): string {
  return [
    ...rehearsed.map(({ letter, result }) => `${letter.id}  ${tableOf(letter)}  ${resultText(result)}`),
    ...requests.map(({ table, rows, lsn }) => `asked for ${rows} of ${table} at ${lsn}`),
    ...(rehearsed.length === 0 ? ['No dead letters to replay.'] : []),
  ].join('\n')
}

function resultText(result: Rehearsal['result']): string {
  switch (result.outcome) {
    case 'refused':
      return `still refused: ${result.code}`
    case 'gone':
      return 'the topic has a newer record of the row'
    case 'mapped':
      return `would give ${result.rows.map(({ op, entity, id }) => `${op} ${entity} ${id}`).join(', ') || 'no row'}`
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
