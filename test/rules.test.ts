/** That a citation leads somewhere: docs/rules.md has each rule that code or tests cite, and tests cite each that it has. */
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = new URL('../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8')

const RULES = [...read('docs/rules.md').matchAll(/^\| `([^`]+)` \|([^|]+)\|([^|]*)\|$/gm)].map(
  ([, name, holds, source]) => ({ name: name!, holds: holds!, source: source! }),
)
const names = new Set(RULES.map(({ name }) => name))

/** The word and a name, or several names; also where a comment goes on in the next line. */
const CITATION = /\brules?[ \n*/-]+((?:[a-z]+\.[a-z-]+(?:,[ \n*/-]+| and )?)+)/g

const citations = globSync('**/*.{ts,md,sql,avsc}', { cwd: ROOT, exclude: ['node_modules', 'docs/rules.md'] }).flatMap(
  (path) =>
    [...read(path).matchAll(CITATION)].flatMap(([, list]) =>
      list!.match(/[a-z]+\.[a-z-]+/g)!.map((name) => ({ path, name })),
    ),
)

test('every citation has its rule', () => {
  expect(citations.length).toBeGreaterThan(100)
  expect(citations.filter(({ name }) => !names.has(name))).toEqual([])
})

test('every rule is cited by a test', () => {
  const tested = new Set(citations.flatMap(({ path, name }) => (path.endsWith('.test.ts') ? [name] : [])))
  expect([...names].filter((name) => !tested.has(name))).toEqual([])
})

test('no name stands for two rules, and no rule is without words', () => {
  expect(names.size).toBe(RULES.length)
  expect(RULES.filter(({ holds }) => holds.trim() === '')).toEqual([])
})

test('a rule names its source, a key of the list or a repository, but where its chapter names one for all', () => {
  const keys = [...read('docs/rules.md').matchAll(/^\| ([A-Z]+) \|/gm)].map(([, key]) => key!)
  const source = new RegExp(`\\b(${keys.join('|')}|ministryofjustice|moj-analytical-services)\\b`)
  const without = RULES.filter((rule) => !source.test(rule.source)).map(({ name }) => name.split('.')[0])
  expect(new Set(without)).toEqual(new Set(['legacy']))
})

test('no comment cites a paper by chapter and number, which leads nowhere', () => {
  const numbered = /\b(domain|dpr|cdc|service|design|style) [A-Z]?\d+(\.\d+)?\b/
  const found = globSync('**/*.{ts,md,sql,avsc,json,njk}', { cwd: ROOT, exclude: ['node_modules'] }).filter((path) =>
    numbered.test(read(path)),
  )
  expect(found).toEqual([])
})

test('every file of the project that a document names is there', () => {
  // rules.md names other projects' files
  const documents = ['README.md', ...globSync('docs/*.md', { cwd: ROOT })].filter((path) => path !== 'docs/rules.md')
  const folders = new Set(readdirSync(ROOT))
  const named = documents.flatMap((document) => [
    ...[...read(document).matchAll(/`([a-z]+\/[\w./-]+)`/g)].map(([, path]) => path!),
    ...[...read(document).matchAll(/\]\((?!http|#)([^)#]+)/g)].map(([, path]) => join(dirname(document), path!)),
  ])
  const ours = named.filter((path) => folders.has(path.split('/')[0]!))
  expect(ours.length).toBeGreaterThan(100)
  expect(ours.filter((path) => !existsSync(new URL(path, ROOT)))).toEqual([])
})
