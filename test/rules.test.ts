/** That a citation leads somewhere: docs/rules.md has each rule that code or tests cite, and tests cite each that it has. */
import { existsSync, globSync, readFileSync } from 'node:fs'
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

test('a rule names its source by a key of the list, but where its chapter names one for all', () => {
  const text = read('docs/rules.md')
  const keys = [...text.matchAll(/^\| ([A-Z]+) \| `?/gm)].map(([, key]) => key!)
  const without = RULES.filter(({ source }) => !keys.some((key) => new RegExp(`\\b${key}\\b`).test(source)))
  expect(without.every(({ name }) => name.startsWith('legacy.'))).toBe(true)
})

test('no comment cites a paper by chapter and number, which leads nowhere', () => {
  const numbered = /\b(domain|dpr|cdc|service|design|style) [A-Z]?\d+(\.\d+)?\b/
  const found = globSync('**/*.{ts,md,sql,avsc,json,njk}', { cwd: ROOT, exclude: ['node_modules'] }).filter((path) =>
    numbered.test(read(path)),
  )
  expect(found).toEqual([])
})

test('every file that a document names is there', () => {
  const documents = ['README.md', ...globSync('docs/*.md', { cwd: ROOT })]
  const named = documents.flatMap((document) => [
    ...[...read(document).matchAll(/`([a-z-]+\/[\w./-]+\.(?:ts|sql|avsc|json|md))`/g)].map(([, path]) => path!),
    ...[...read(document).matchAll(/`(test\/[\w./-]+)`/g)].map(([, path]) => path!),
    ...[...read(document).matchAll(/\]\((?!http|#)([^)#]+)/g)].map(([, path]) => join(dirname(document), path!)),
  ])
  expect(named.length).toBeGreaterThan(100)
  expect(named.filter((path) => !existsSync(new URL(path, ROOT)))).toEqual([])
})
