/** docs/types.md says what schemas/pg-types.ts does: neither has a row that the other has not. */
import { readFileSync } from 'node:fs'
import pg from 'pg'
import { expect, test } from 'vitest'
import { pgKeyType, pgType } from '../../schemas/pg-types.ts'

interface Documented {
  readonly type: string
  readonly avro: string
  readonly logicalType: string
  readonly widened: boolean
  /** `number`, `text` …: the first word of the value's description. */
  readonly value: string
}

const DOCUMENTED: readonly Documented[] = readFileSync(new URL('../../docs/types.md', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .slice(2)
  .map((line) => {
    const [type = '', , avro = '', logicalType = '', widened = '', value = ''] = line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.replaceAll('`', '').trim())
    return { type, avro, logicalType, widened: widened !== '', value: /^\w+/.exec(value)![0] }
  })

const OIDS = pg.types.builtins as unknown as Readonly<Record<string, number>>

function done(oid: number): Omit<Documented, 'type' | 'value'> {
  const { avro, partial } = pgType(oid)
  const { type, logicalType = '' } =
    typeof avro === 'string' ? { type: avro } : (avro as { type: string; logicalType?: string })
  return { avro: type, logicalType, widened: partial === true }
}

/** A text of the type, and the kind of its value. */
const EXAMPLES: Readonly<Record<string, string>> = {
  bool: 't',
  bytea: '\\x00',
  uuid: 'a',
  date: 'a',
  timestamp: 'a',
  timestamptz: 'a',
}

function kindOf(type: string, oid: number): string {
  const value = pgType(oid).value(EXAMPLES[type] ?? '1')
  return value instanceof Uint8Array ? 'Uint8Array' : typeof value === 'string' ? 'text' : typeof value
}

test('each documented type travels and reads as documented', () => {
  expect(DOCUMENTED).toHaveLength(13)
  for (const { type, value, ...documented } of DOCUMENTED) {
    const oid = type === 'all others' ? 0 : OIDS[type.toUpperCase()]!
    expect({ type, ...done(oid) }).toEqual({ type, ...documented })
    expect([type, kindOf(type, oid)]).toEqual([type, value])
  }
})

test('each type that does not travel as plain text is documented', () => {
  const text = pgType(0)
  const own = Array.from({ length: 20_000 }, (_, oid) => oid).filter((oid) => pgType(oid) !== text)
  const documented = DOCUMENTED.filter(({ type }) => type !== 'all others').map(({ type }) => OIDS[type.toUpperCase()]!)
  expect(own).toEqual(documented.toSorted((a, b) => a - b))
})

test('a key has the same type but for those that may be widened, which are text there', () => {
  for (const { type, widened } of DOCUMENTED) {
    const oid = OIDS[type.toUpperCase()] ?? 0
    expect(pgKeyType(oid)).toBe(widened ? pgType(0) : pgType(oid))
  }
})
