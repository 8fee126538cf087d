/** schemas/CHANGELOG.md: which versions of which contract were published, and which were never. */
import { readFileSync } from 'node:fs'
import { contractDigest, contracts } from './contracts.ts'

export interface Changelog {
  /** Digests by contract, oldest first. */
  readonly published: ReadonlyMap<string, readonly string[]>
  /** `contract digest` of versions that were replaced before anybody could read them. */
  readonly withdrawn: ReadonlySet<string>
}

const ROW = /^\| (\w+) +\| (\d+|never) +\| ([0-9a-f]{8}) +\| .*\S.* \|$/gm

export function changelog(text = readFileSync(new URL('CHANGELOG.md', import.meta.url), 'utf8')): Changelog {
  const published = new Map<string, string[]>()
  const withdrawn = new Set<string>()
  for (const [, contract = '', version, digest = ''] of text.matchAll(ROW)) {
    if (version === 'never') withdrawn.add(`${contract} ${digest}`)
    else published.set(contract, [...(published.get(contract) ?? []), digest])
  }
  return { published, withdrawn }
}

/** What the changelog does not tell, one sentence each: the newest version that it names is the one that lies here. */
export function unlisted(log: Changelog = changelog()): string[] {
  return contracts().flatMap(({ name, file, schema }) => {
    const digest = contractDigest(schema)
    return log.published.get(name)?.at(-1) === digest
      ? []
      : [`schemas/CHANGELOG.md does not name version ${digest} of schemas/${file}`]
  })
}
