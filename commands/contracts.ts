/** `incidents contracts check | diff | publish`: the governed contracts before rows flow. */
import type { Config } from '../config.ts'
import { EXIT } from '../core/error.ts'
import { openRegistry } from '../runtime.ts'
import { contractHistory, type History } from '../proof/contract-history.ts'
import { changelog, unlisted } from '../schemas/changelog.ts'
import { readersOfField } from '../schemas/consumers.ts'
import { checkContract, distinct, type Finding, type Version } from '../schemas/contract-check.ts'
import { contractDigest, contracts, subjectOf, type Contract } from '../schemas/contracts.ts'
import { clearances, differences, type Clearances, type Difference } from '../schemas/policy/clearances.ts'
import type { AvroSchema, ListedRegistry } from '../schemas/registry.ts'
import { topics } from '../transport/topics.ts'

interface Output {
  readonly json?: boolean
}

/** Exit 6 when a contract cannot follow an earlier version, or the changelog does not name it; else 0. */
export async function contractsCheck(config: Config, { json }: Output): Promise<number> {
  const registry = openRegistry(config)
  const history = await contractHistory()
  const { withdrawn } = changelog()
  const names = topics(config.NAMESPACE)
  const findings: Finding[] = []
  let compared = 0
  for (const contract of contracts()) {
    const subject = subjectOf(contract, names)
    const found = [...(await registered(registry, subject)), ...(await committed(history, contract))]
    const earlier = distinct(contract.name, found, withdrawn)
    compared += earlier.length
    // consumers are listed by the topics' own names, whatever the namespace here
    findings.push(...checkContract(contract, earlier, topics('incidents')[contract.topic].name))
  }
  const unnamed = unlisted()
  if (json === true) print(JSON.stringify({ compared, history: history.missing ?? 'git', findings, unnamed }))
  else print(checkText(findings, unnamed, compared, history.missing))
  return findings.length + unnamed.length === 0 ? EXIT.done : EXIT.contract
}

async function registered(registry: ListedRegistry, subject: string): Promise<Version[]> {
  const versions = await registry.versions(subject)
  return versions.map((schema, i) => ({ origin: `registry version ${i + 1}`, schema }))
}

async function committed(history: History, { file }: Contract): Promise<Version[]> {
  const versions = await history.versions(file)
  return versions.map(({ commit, text }) => ({ origin: `commit ${commit}`, schema: JSON.parse(text) as AvroSchema }))
}

function checkText(
  findings: readonly Finding[],
  unnamed: readonly string[],
  compared: number,
  missing: string | null,
): string {
  return [
    ...(missing === null ? [] : [`History was not compared: ${missing}.`]),
    ...findings.map(
      ({ file, with: origin, reason, breaks }) =>
        `schemas/${file} against ${origin}: ${reason}. Breaks ${breaks.join(', ') || 'nobody who is listed'}.`,
    ),
    ...unnamed.map((sentence) => `${sentence}.`),
    `${compared} earlier versions compared, ${findings.length} do not go together with what lies here.`,
  ].join('\n')
}

export interface DiffOptions extends Output {
  /** A snapshot to compare with, instead of the newest commit's. */
  readonly against?: Clearances
}

const SNAPSHOT = 'policy/clearances.json'

/** What will appear, vanish or change in which output, and for whom. Exit 1 when anything will. */
export async function contractsDiff(_config: Config, options: DiffOptions): Promise<number> {
  const history = await contractHistory()
  const before = options.against ?? (await snapshot(history))
  const found = differences(before, clearances()).map((each) => ({ ...each, readers: readersOfDifference(each) }))
  if (options.json === true) print(JSON.stringify({ history: history.missing ?? 'git', differences: found }))
  else print(diffText(found, history.missing))
  return found.length === 0 ? EXIT.done : EXIT.difference
}

/** The newest commit's, or the file's where there is no git: it is as old as the last `npm run schemas`. */
async function snapshot(history: History): Promise<Clearances> {
  const text = await history.committed(SNAPSHOT)
  if (text !== null) return JSON.parse(text) as Clearances
  const { default: file } = await import('../schemas/policy/clearances.json', { with: { type: 'json' } })
  return file
}

function readersOfDifference({ output, entity, field }: Difference): string[] {
  return readersOfField(output === 'unified' ? topics('incidents').unified.name : output, entity, field)
}

function diffText(found: readonly (Difference & { readonly readers: string[] })[], missing: string | null): string {
  const base = missing === null ? 'the newest commit' : `schemas/${SNAPSHOT} (${missing})`
  return [
    ...found.map(({ output, entity, field, change, before, after, readers }) => {
      const what = change === 'changes' ? `changes from ${before} to ${after}` : `${change} (${before ?? after})`
      return `${output}  ${entity}.${field}  ${what}${readers.length === 0 ? '' : `; read by ${readers.join(', ')}`}`
    }),
    found.length === 0 ? `Nothing changes against ${base}.` : `${found.length} differences from ${base}.`,
  ].join('\n')
}

/** Registers every contract; a subject's level is raised to FULL_TRANSITIVE, never lowered. CONTRACT, REGISTRY. */
export async function contractsPublish(config: Config, { json }: Output): Promise<number> {
  const registry = openRegistry(config)
  const names = topics(config.NAMESPACE)
  const published: { subject: string; digest: string; id: number; level: string | null }[] = []
  for (const contract of contracts()) {
    const subject = subjectOf(contract, names)
    const id = await registry.register(subject, contract.schema, 'FULL_TRANSITIVE')
    published.push({ subject, digest: contractDigest(contract.schema), id, level: await registry.level(subject) })
  }
  if (json === true) print(JSON.stringify({ published }))
  else print(published.map((each) => `${each.subject}  ${each.digest}  id ${each.id}  ${each.level}`).join('\n'))
  return EXIT.done
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
