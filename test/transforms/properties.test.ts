/** What holds of the rules whatever the rows are. */
import { readFileSync } from 'node:fs'
import avro from 'avsc'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Change, RowChange } from '../../core/change.ts'
import type { IncidentEvent } from '../../core/event.ts'
import type { Batch } from '../../core/feed.ts'
import { ENTITIES, type Entity, type EntityRow } from '../../core/incident.ts'
import { BEGINNING, position, type Position } from '../../core/position.ts'
import { wholeTransactions } from '../../core/transactions.ts'
import { projections } from '../../schemas/policy/projection.ts'
import { eventFold } from '../../transforms/event.ts'
import { unify } from '../../transforms/unify.ts'
import { incidentOf, rowChange, SAMPLED_TABLES, type UnifiedTable } from '../support/source-rows.ts'
import { validRow } from '../support/valid-rows.ts'

/** Dates and times are text in this process: valid where the text is one. */
function textual(pattern: RegExp): new () => avro.types.LogicalType {
  class Textual extends avro.types.LogicalType {
    protected override _toValue(value: unknown): unknown {
      if (typeof value !== 'string' || !pattern.test(value)) return undefined
      return Number.isNaN(Date.parse(value.slice(0, 10))) ? undefined : 0
    }
    protected override _fromValue(value: unknown): unknown {
      return value
    }
  }
  return Textual as unknown as new () => avro.types.LogicalType
}

const DAY = '\\d{4}-\\d{2}-\\d{2}'
const CONTRACTS = Object.fromEntries(
  ENTITIES.map((entity) => {
    const text = readFileSync(new URL(`../../schemas/unified/${entity}.avsc`, import.meta.url), 'utf8')
    const logicalTypes = {
      date: textual(new RegExp(`^${DAY}$`)),
      'timestamp-micros': textual(new RegExp(`^${DAY}T[\\d:]{8}\\.\\d{6}Z$`)),
      'local-timestamp-micros': textual(new RegExp(`^${DAY}T[\\d:]{8}\\.\\d{6}$`)),
    }
    return [entity, avro.Type.forSchema(JSON.parse(text) as avro.Schema, { logicalTypes } as object)]
  }),
) as Record<Entity, avro.Type>

/** Why a row is not what its contract says; empty when it is. */
function invalid({ entity, value }: EntityRow): string[] {
  const paths: string[] = []
  CONTRACTS[entity].isValid(value, { errorHook: (path) => paths.push(`${entity}.${path.join('.')}`) })
  return paths
}

const anyTable = fc.constantFrom(...SAMPLED_TABLES)
const images = anyTable.chain((table) => fc.tuple(fc.constant(table), validRow(table), validRow(table)))
const anyChange = fc.tuple(images, fc.constantFrom('c', 'u', 'd', 'r')).map(([[table, before, after], op]) =>
  rowChange(table, {
    op,
    before: op === 'c' || op === 'r' ? null : before,
    after: op === 'd' ? null : after,
  }),
)

describe('unify', () => {
  test.each(SAMPLED_TABLES)('maps every row that the source allows in %s, as its contracts say', (table) => {
    fc.assert(
      fc.property(validRow(table), (after) => {
        const { rows, refusal } = unify(rowChange(table, { after }))
        expect(refusal).toBeNull()
        expect(rows.length).toBeGreaterThan(0)
        expect(rows.flatMap(invalid)).toEqual([])
      }),
      { numRuns: 100 },
    )
  })

  test('the contracts that this asks would refuse another value', () => {
    const change = rowChange('public.report', {
      after: fc.sample(validRow('public.report'), { numRuns: 1, seed: 1 })[0]!,
    })
    const [row] = unify(change).rows
    for (const [field, value] of [
      ['createdAt', 'yesterday'],
      ['completed', 'yes'],
      ['type', null],
      ['createdAt', '2024-01-15T09:00:01.000001'],
    ] as const) {
      expect(invalid({ ...row!, value: { ...row!.value, [field]: value } })).toEqual([`Report.${field}`])
    }
  })

  test('is a function of the row: what was unified before, and in which order, never matters', () => {
    const orders = fc
      .array(anyChange, { minLength: 1, maxLength: 20 })
      .chain((changes) => fc.tuple(fc.constant(changes), fc.shuffledSubarray(changes, { minLength: changes.length })))
    fc.assert(
      fc.property(orders, ([changes, shuffled]) => {
        const alone = new Map(changes.map((change) => [change, meaning(structuredClone(change))]))
        for (const change of shuffled) expect(meaning(change)).toEqual(alone.get(change))
      }),
      { numRuns: 100 },
    )
  })

  function meaning(change: RowChange) {
    const { rows, refusal, absence } = unify(change)
    return { rows, refusal: refusal?.message ?? null, absence }
  }

  test('an update removes exactly what the row before made and the row after does not', () => {
    fc.assert(
      fc.property(images, ([table, before, after]) => {
        const ids = (rows: readonly EntityRow[], op: string) =>
          rows.filter((row) => row.op === op).map(({ entity, id }) => `${entity} ${id}`)
        const was = ids(unify(rowChange(table, { after: before })).rows, 'upsert')
        const is = ids(unify(rowChange(table, { after })).rows, 'upsert')
        const { rows } = unify(rowChange(table, { before, after }))
        expect(ids(rows, 'upsert')).toEqual(is)
        expect(ids(rows, 'delete').toSorted()).toEqual(was.filter((each) => !is.includes(each)).toSorted())
      }),
      { numRuns: 500 },
    )
  })
})

/** A history: transactions of one incident, each of some changes of any table of the new model. */
const OF_INCIDENT = SAMPLED_TABLES.filter((table) => incidentOf(table) === '10000042')
const history = fc
  .array(
    fc.array(
      fc.constantFrom(...OF_INCIDENT).chain((table: UnifiedTable) =>
        fc.tuple(
          fc.constant(table),
          fc.option(validRow(table)),
          fc.option(validRow(table)),
          // few keys, so that rows come, change, go and come again
          fc.integer({ min: 1, max: 3 }),
        ),
      ),
      { minLength: 1, maxLength: 5 },
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((transactions) => {
    let offset = 0
    return transactions.flatMap((changes, t) => {
      const kept = changes.filter(([, before, after]) => before !== null || after !== null)
      return kept.map(([table, before, after, id], i): RowChange => {
        const keyed = (row: typeof before) =>
          row === null ? null : { ...row, id: table === 'public.report' ? `${REPORT_ID}${id}` : id }
        const at = position(1, 0x1000 * (t + 1), i + 1)
        return {
          ...rowChange(table, { before: keyed(before), after: keyed(after) }),
          position: at,
          streamedTo: at,
          txId: t + 1,
          offset: offset++,
          lastInTransaction: i === kept.length - 1,
        }
      })
    })
  })
const REPORT_ID = '019012ab-7c4d-7e5f-8a9b-0c1d2e3f4a5'

const project = projections('unified', 'a key for tests')

/** What a reader that folds by row and position holds. */
function folded(changes: readonly Change[]): Map<string, string> {
  const newest = new Map<string, { at: Position; text: string | null }>()
  for (const change of changes) {
    for (const row of unify(change).rows) {
      const id = `${row.entity} ${row.id}`
      const held = newest.get(id)
      if (held !== undefined && held.at > change.position) continue
      const text = row.op === 'delete' ? null : JSON.stringify(project[row.entity].project(row.value))
      newest.set(id, { at: change.position, text })
    }
  }
  return new Map([...newest].flatMap(([id, { text }]) => (text === null ? [] : [[id, text]])))
}

/** The changes as every reader of the topic gets them. */
async function readWhole(changes: readonly Change[]): Promise<Change[]> {
  async function* feed(): AsyncGenerator<Batch<Change>> {
    for (const change of changes) yield { items: [change], ack: async () => {} }
  }
  const { feed: whole } = wholeTransactions(feed(), 1 << 20)
  const read: Change[] = []
  for await (const { items } of whole) read.push(...items)
  return read
}

function eventsOf(changes: readonly Change[]): IncidentEvent[] {
  const fold = eventFold()
  return changes.flatMap((change) => fold.add(change))
}

describe('a topic that is read again from any place on', () => {
  const replayed = history.chain((changes) => fc.tuple(fc.constant(changes), fc.nat(Math.max(changes.length - 1, 0))))

  test('changes no row, and gives no event twice', async () => {
    await fc.assert(
      fc.asyncProperty(replayed, async ([changes, from]) => {
        const again = [...changes, ...changes.slice(from)]
        expect(folded(again)).toEqual(folded(changes))
        expect(eventsOf(await readWhole(again))).toEqual(eventsOf(await readWhole(changes)))
      }),
      { numRuns: 200 },
    )
  })

  test('rows read outside the stream come between and change nothing that is newer', () => {
    fc.assert(
      fc.property(replayed, ([changes, from]) => {
        const last = changes[from]
        if (last?.after == null) return
        const old: RowChange = { ...last, op: 'r', before: null, position: BEGINNING }
        expect(folded([...changes, old])).toEqual(folded([...changes]))
      }),
      { numRuns: 200 },
    )
  })
})

test('answers that are deleted and given again in one transaction are one amendment, in whatever order (rule dps.answers)', () => {
  const answers = fc.array(validRow('public.response'), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(answers, fc.boolean(), (rows, insertsFirst) => {
      const gone = rows.map((row, i) => rowChange('public.response', { before: { ...row, id: i } }))
      const given = rows.map((row, i) => rowChange('public.response', { after: { ...row, id: 100 + i } }))
      const changes = insertsFirst ? [...given, ...gone] : [...gone, ...given]
      const transaction = changes.map((change, i) => ({
        ...change,
        position: position(1, 0x1000, i + 1),
        lastInTransaction: i === changes.length - 1,
      }))
      const events = eventsOf(transaction)
      expect(events.map(({ eventType, parts }) => ({ eventType, parts }))).toEqual([
        { eventType: 'incident.report.amended', parts: ['QUESTIONS'] },
      ])
    }),
    { numRuns: 100 },
  )
})
