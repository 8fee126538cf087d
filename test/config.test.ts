import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { OPTIONS, parseConfig, required } from '../config.ts'
import { EXIT } from '../core/error.ts'

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')

describe('configuration', () => {
  const refused: [Record<string, string>, RegExp][] = [
    [{ DATABASE_URL: 'mysql://x' }, /^DATABASE_URL is a secret value: expected a URL that begins with postgres:/],
    [{ NAMESPACE: 'Mixed-Case' }, /^NAMESPACE is "Mixed-Case": expected lower-case letters/],
    [{ KAFKA_PARTITIONS: 'many' }, /^KAFKA_PARTITIONS is "many"/],
    [{ PORT: '70000' }, /^PORT is "70000"/],
    [{ LOG_LEVEL: 'loud' }, /^LOG_LEVEL is "loud"/],
    [{ PSEUDONYM_KEY: 'short' }, /^PSEUDONYM_KEY is a secret value: expected at least 16/],
    [{ SCHEMA_REGISTRY_AUTH: 'nocolon' }, /^SCHEMA_REGISTRY_AUTH is a secret value: expected user:password/],
  ]
  test.for(refused)('%o is refused with name, found and accepted', ([given, says]) => {
    let message = ''
    try {
      parseConfig(given)
    } catch (error) {
      message = (error as Error).message
    }
    expect(message).toMatch(says)
    expect(message.includes('a secret value') && message.includes(Object.values(given)[0]!)).toBe(false)
  })

  test('an empty variable counts as unset, and a needed one that is missing is named', () => {
    expect(parseConfig({ NAMESPACE: '' }).NAMESPACE).toBe('incidents')
    expect(() => required(parseConfig({}), 'DATABASE_URL')).toThrow('DATABASE_URL is not set')
  })
})

describe('what is written down', () => {
  const rows = Object.entries(OPTIONS).map(([name, option]) => ({
    name,
    byDefault: 'byDefault' in option ? option.byDefault : '',
    says: option.says,
  }))

  test('the README has every variable with its default and sentence', () => {
    const readme = read('README.md')
    for (const { name, byDefault, says } of rows) expect(readme).toContain(`| \`${name}\` | ${byDefault} | ${says} |`)
  })

  test('.env.example has them too', () => {
    const example = read('.env.example')
    for (const { name, byDefault, says } of rows) expect(example).toContain(`# ${says}\n# ${name}=${byDefault}\n`)
  })

  test('the README has every exit code', () => {
    const codes = [...read('README.md').matchAll(/^\| (\d+) \| ([^|]+) \|$/gm)].map(([, code]) => Number(code))
    expect(codes).toEqual(Object.values(EXIT))
  })
})
