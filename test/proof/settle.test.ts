import { describe, expect, test } from 'vitest'
import type { RowChange, Table } from '../../core/change.ts'
import { pause } from '../../core/pause.ts'
import { digest, rowText } from '../../proof/canonical.ts'
import { expectations, type Expectations, type Origin } from '../../proof/expected.ts'
import type { ProvenPlace } from '../../proof/proven-place.ts'
import { settle } from '../../proof/settle.ts'
import { rowKey } from '../../proof/source-keys.ts'
import type { SourceRow } from '../../proof/source-by-key.ts'
import type { SourceReader } from '../../proof/source-rows.ts'
import { rowChange } from '../support/dpr-raw.ts'

const COLUMNS = ['id', 'text'].map((name) => ({ name, oid: 25, modifier: -1 }))
const TABLE: Table = { schema: 'public', name: 'note', columns: COLUMNS, key: ['id'] }
/** What source and place hold of the row at each look: its text, or null when they have none. */
type Texts = readonly (string | null)[]

const sourceRow = (text: string): SourceRow => {
  const change: RowChange = rowChange({ table: TABLE, after: { id: '1', text }, offset: -1, lsn: 1 })
  return { change, version: `${text} 600001`, xmin: 1 }
}

/** Each look takes the next, and the last one again and again. */
const inTurn = (texts: Texts) => {
  let at = 0
  return (): string | null => texts[Math.min(at++, texts.length - 1)] ?? null
}

async function settled(source: Texts, place: Texts, rounds: number, fenceMs = 0) {
  const nextOfSource = inTurn(source)
  const nextOfPlace = inTurn(place)
  let left = rounds
  /** What a look at the stamp saw, until the row itself is looked at. */
  let stamped: string | null | undefined
  const keyed = <T>(text: string | null, make: (text: string) => T) =>
    new Map(text === null ? [] : [[rowKey(0, '1'), make(text)]])
  const reader: Pick<SourceReader, 'rows' | 'stamps' | 'lsn'> = {
    rows: async () => {
      const text = stamped === undefined ? nextOfSource() : stamped
      stamped = undefined
      return keyed(text, sourceRow)
    },
    stamps: async () => {
      stamped = nextOfSource()
      return keyed(stamped, (text) => text)
    },
    lsn: async () => 1,
  }
  const proven = {
    name: 'place',
    form: 'table',
    look: async function* () {
      const text = nextOfPlace()
      if (text !== null) yield { kind: 0, key: '1', cells: ['1', text], at: null }
    },
  } as unknown as ProvenPlace
  const suspect = { kind: 0, key: '1', origin: { table: 0, key: '1' } }
  const found = await settle(proven, [suspect], {
    source: reader as SourceReader,
    expected: expectations([TABLE], 'a key for tests only'),
    fence: async () => {
      await pause(fenceMs)
      return true
    },
    ended: () => left-- <= 0,
  })
  return found.differences.length > 0 ? 'differs' : found.unsettled.length > 0 ? 'unsettled' : 'agrees'
}

const cases: [string, Texts, Texts, string][] = [
  ['nobody writes it and the place has it', ['a'], ['a'], 'agrees'],
  ['nobody writes it and the place has another', ['a'], ['b'], 'differs'],
  ['nobody writes it and the place lacks it', ['a'], [null], 'differs'],
  ['the place alone has it', [null], ['a'], 'differs'],
  ['it is written meanwhile and the place has it as before', ['a', 'b'], ['a'], 'agrees'],
  ['it is written meanwhile and the place has it as now', ['a', 'b'], ['b'], 'agrees'],
  ['it is deleted meanwhile and the place has it as before', ['a', null], ['a'], 'agrees'],
  ['it is deleted meanwhile and the place lacks it', ['a', null], [null], 'agrees'],
  ['it is written once, and the place never has either', ['a', 'b', 'b'], ['z'], 'differs'],
  [
    'it is written at each look, and the place never has any',
    ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'],
    ['z'],
    'unsettled',
  ],
  ['the place has it one look later', ['a'], ['z', 'a'], 'agrees'],
  ['the place changes between two looks that differ', ['a'], ['y', 'z', 'a'], 'agrees'],
]

test.for(cases)('a suspect row where %s', async ([, source, place, verdict]) => {
  expect(await settled(source, place, 4)).toBe(verdict)
})

test.for([
  ['what the source was while the place was waited for', 'b', 'agrees'],
  ['what it never was', 'z', 'unsettled'],
])('a suspect row that is written again and again, of which the place has %s', async ([, held, verdict]) => {
  // seen as b between the first look and the last
  expect(await settled(['a', 'b', 'c', 'd', 'e', 'f'], [held!], 1, 700)).toBe(verdict)
})

describe('a suspect that only the place knew', () => {
  const columns = ['id', 'sourceTable', 'sourceKey', 'text']
  const cellsOf = (text: string) => ['1', 'public.note', '1', text]
  /** Each row is made of the source row of the same key. */
  const expected = {
    tables: [TABLE],
    columns: () => columns,
    rowsOf: (_: unknown, { after }: RowChange, origin: Origin) => {
      const cells = cellsOf(String(after!['text']))
      return [{ kind: 0, key: '1', origin, cells: () => cells, digest: digest(rowText(cells)) }]
    },
  } as unknown as Expectations

  /** What the place holds at each look, the first of which is for the row's origin. */
  const cases: [string, Texts, string][] = [
    ['has come to the source since', ['a'], 'agrees'],
    ['is gone when it is asked for its origin, and back then', [null, 'a'], 'agrees'],
    ['is gone and back, as another', [null, 'z'], 'differs'],
    ['is another', ['z'], 'differs'],
  ]
  test.for(cases)('and that %s', async ([, held, verdict]) => {
    const next = inTurn(held)
    const place = {
      name: 'place',
      form: 'unified',
      look: async function* () {
        const text = next()
        if (text !== null) yield { kind: 0, key: '1', cells: cellsOf(text), at: null }
      },
    } as unknown as ProvenPlace
    const source = {
      rows: async (keys: ReadonlyMap<number, ReadonlySet<string>>) =>
        new Map(keys.get(0)?.has('1') === true ? [[rowKey(0, '1'), sourceRow('a')]] : []),
      lsn: async () => 1,
    } as unknown as SourceReader
    let left = 6
    const { differences, unsettled } = await settle(place, [{ kind: 0, key: '1', origin: null }], {
      source,
      expected,
      fence: async () => true,
      ended: () => left-- <= 0,
    })
    expect(unsettled).toEqual([])
    expect(differences.length === 0 ? 'agrees' : 'differs').toBe(verdict)
  })
})
