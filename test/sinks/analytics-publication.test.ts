import { execFile } from 'node:child_process'
import { existsSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { zstdDecompressSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import fc from 'fast-check'
import { parquetReadObjects } from 'hyparquet'
import { describe, expect, test } from 'vitest'
import { PipelineError } from '../../core/error.ts'
import type { EntityRow } from '../../core/incident.ts'
import { position } from '../../core/position.ts'
import type { AnalyticsOptions, AnalyticsSink } from '../../sinks/analytics.ts'
import { PUBLISHED_FILE } from '../../sinks/analytics-publication.ts'
import { publishedCopy } from '../../sinks/analytics-published.ts'
import { POPULATION_FILE } from '../../sinks/analytics-reports.ts'
import { pairsAfter, pairTransaction } from '../support/analytics-load.ts'
import {
  ANALYTICS_PROJECTIONS,
  ask,
  collect,
  incidentChange,
  openAnalytics,
  reportRow,
  temporaryDirectory,
} from '../support/analytics.ts'
import { markerAt, question, referenceCode, uuid } from '../support/unified-rows.ts'

const A = uuid(1)
const run = promisify(execFile)

describe('the published copy', () => {
  test('can be asked before the first row, every view and macro of it', async () => {
    const directory = temporaryDirectory()
    await openAnalytics(directory)
    for (const { table } of Object.values(ANALYTICS_PROJECTIONS)) {
      for (const view of [`current_${table}`, `latest_${table}`, `history_${table}`, `temporal_${table}`]) {
        expect(await ask(directory, `FROM ${view}`)).toEqual([])
      }
      expect(await ask(directory, `FROM ${table}_as_of(now())`)).toEqual([])
    }
  })

  test('opens in another process while the sink writes, and never shows half a transaction', async () => {
    const directory = temporaryDirectory()
    const sink = await openAnalytics(directory, { publish: { intervalMs: 20 }, recentChanges: 20 })
    let reading = true
    const reader = run(process.execPath, ['test/support/analytics-reader.ts', directory, '4000'])
    void reader.finally(() => (reading = false))
    for (let n = 0; reading; n += 2) {
      const [first, second] = pairTransaction(n + 1)
      await sink.write([...pairTransaction(n), first])
      await sink.write([second])
    }
    const found = JSON.parse((await reader).stdout) as { opened: number; states: number; halves: string[] }
    expect(found.halves).toEqual([])
    expect(found.states).toBeGreaterThan(3)
    expect(readdirSync(join(directory, 'history', 'report')).length).toBeGreaterThan(1)
  })

  test('follows a change within the interval, and is complete when the sink is closed', async () => {
    const directory = temporaryDirectory()
    const sink = await openAnalytics(directory, { publish: { intervalMs: 100 } })
    await sink.write(pairTransaction(0))
    await expect.poll(() => ask(directory, 'SELECT count(*) FROM current_report')).toEqual([['2']])
    expect(sink.published().count).toBe(2)
    await sink.write(pairTransaction(1))
    await sink.close()
    expect(await ask(directory, 'SELECT count(*) FROM current_report')).toEqual([['4']])
  })

  test('says how far it is, and hands out its rows as the projection made them', async () => {
    const directory = temporaryDirectory()
    const sink = await openAnalytics(directory)
    const row = reportRow(A)
    await sink.write([incidentChange({ offset: 4, lsn: 10, rows: [row] }), markerAt({ offset: 5, lsn: 40 })])
    await sink.publish()
    const copy = await publishedCopy(directory, ANALYTICS_PROJECTIONS)
    await sink.write([incidentChange({ offset: 6, lsn: 50, op: 'd', rows: [reportRow(A, {}, 'delete')] })])
    await sink.publish()
    expect(copy.places).toEqual(
      new Map([[0, { next: 6, height: position(1, 10, 1), passed: position(1, 40, 0), passedAt: 40_000_000 }]]),
    )
    expect(await collect(copy.rows('Report'))).toEqual([
      { id: A, position: position(1, 10, 1), values: ANALYTICS_PROJECTIONS.Report.project(row.value) },
    ])
    copy.close()
  })

  describe('out of the one before', () => {
    const marker = (offset: number) => markerAt({ offset, lsn: offset * 10 })
    const made = async (directory: string) => (await ask(directory, 'SELECT made_at FROM publication'))[0]![0]!
    const passed = async (directory: string) => (await ask(directory, 'SELECT next_offset FROM place'))[0]![0]!
    const ids = async (directory: string) => (await ask(directory, 'SELECT id FROM latest_report ORDER BY id')).flat()

    async function published(more: Partial<AnalyticsOptions> = {}) {
      const directory = temporaryDirectory()
      const sink = await openAnalytics(directory, more)
      await sink.write([incidentChange({ offset: 0, lsn: 1, rows: [reportRow(A)] })])
      await sink.publish()
      return { directory, sink, before: await made(directory) }
    }

    test('has the rows and gaps of now, and is whole up to a later moment', async () => {
      const { directory, sink, before } = await published()
      const B = uuid(2)
      const refusal = new PipelineError('NO_INCIDENT', 'an example', 'mend it')
      const steps = [
        { item: marker(1), ids: [A], gaps: [] },
        { item: incidentChange({ offset: 2, lsn: 21, rows: [reportRow(B)] }), ids: [A, B], gaps: [] },
        { item: incidentChange({ offset: 3, lsn: 31, refusal, key: 'another' }), ids: [A, B], gaps: [['NO_INCIDENT']] },
        { item: marker(4), ids: [A, B], gaps: [['NO_INCIDENT']] },
        {
          item: incidentChange({ offset: 5, lsn: 51, op: 'd', rows: [reportRow(A, {}, 'delete')] }),
          ids: [B],
          gaps: [['NO_INCIDENT']],
        },
      ]
      for (const step of steps) {
        await sink.write([step.item])
        await sink.publish()
        expect(await ids(directory)).toEqual(step.ids)
        expect(await ask(directory, 'SELECT code FROM incomplete')).toEqual(step.gaps)
        expect(await passed(directory)).toBe(String(step.item.change.offset + 1))
        expect(await made(directory)).toBe(before)
      }
      expect(await ask(directory, 'SELECT published_at > made_at FROM publication')).toEqual([['true']])
    })

    test('stays within two and a half times its first size, however often rows changed', async () => {
      const { directory, sink } = await published()
      const size = () => statSync(join(directory, PUBLISHED_FILE)).size
      await sink.write(
        Array.from({ length: 20_000 }, (_, i) =>
          incidentChange({ offset: i + 1, lsn: i + 2, rows: [reportRow(uuid(i))] }),
        ),
      )
      await sink.publish()
      const first = size()
      for (let i = 0; i < 10; i += 1) {
        await sink.write([incidentChange({ offset: 30_000 + i, lsn: 30_000 + i, rows: [reportRow(A)] })])
        await sink.publish()
        expect(size()).toBeLessThan(2.5 * first)
      }
    })

    const again: readonly {
      when: string
      more?: Partial<AnalyticsOptions>
      happens: (directory: string, sink: AnalyticsSink) => unknown
    }[] = [
      {
        when: 'history became a file',
        more: { recentChanges: 2 },
        happens: (_, sink) => sink.write([incidentChange({ offset: 1, lsn: 2, rows: [reportRow(A)] })]),
      },
      {
        when: 'somebody wrote to it',
        happens: async (directory) => {
          const instance = await DuckDBInstance.create(join(directory, PUBLISHED_FILE))
          const connection = await instance.connect()
          await connection.run('DELETE FROM recent_tail_report')
          connection.closeSync()
          instance.closeSync()
        },
      },
      { when: 'it is gone', happens: (directory) => rmSync(join(directory, PUBLISHED_FILE)) },
      {
        when: 'the population came',
        happens: (directory) =>
          writeFileSync(join(directory, POPULATION_FILE), 'location,month,average_population\nMDI,2026-01-01,900\n'),
      },
    ]
    test.each(again)('is made anew when $when', async ({ happens, more }) => {
      const { directory, sink, before } = await published(more)
      await happens(directory, sink)
      await sink.write([marker(2)])
      await sink.publish()
      expect(await made(directory)).not.toBe(before)
      expect(await passed(directory)).toBe('3')
      expect(await ids(directory)).toEqual([A])
    })
  })

  test('is refused clearly where nothing has been published', async () => {
    await expect(publishedCopy(temporaryDirectory(), ANALYTICS_PROJECTIONS)).rejects.toMatchObject({ code: 'SINK' })
  })

  test('shows the DPS rows of an incident that has a DPS report, and both models beside', async () => {
    const directory = temporaryDirectory()
    const sink = await openAnalytics(directory)
    const legacy = { source: 'NOMIS' } as const
    const reports = [
      reportRow(uuid(1)),
      reportRow(uuid(2), legacy),
      reportRow(uuid(3), { ...legacy, reference: '555' }),
    ]
    const questions = reports.map((report, i) => {
      const { reference, source } = report.value as { reference: string; source: string }
      const made = question(i, report as EntityRow<'Report'>)
      return { ...made, id: uuid(4 + i), value: { ...made.value, id: uuid(4 + i), reference, source } }
    })
    const rows = [...reports, ...questions]
    await sink.write([incidentChange({ offset: 0, lsn: 10, rows })])
    await sink.publish()
    const ids = async (view: string) => (await ask(directory, `SELECT id FROM ${view} ORDER BY id`)).flat()
    expect(await ids('current_report')).toEqual([uuid(1), uuid(3)])
    expect(await ids('current_question')).toEqual([uuid(4), uuid(6)])
    expect(await ids('latest_report')).toEqual([uuid(1), uuid(2), uuid(3)])
  })

  test('shows the codes of both models, which belong to no incident', async () => {
    const directory = temporaryDirectory()
    const sink = await openAnalytics(directory)
    const codes = [referenceCode('ASSAULT_5'), referenceCode('3412', { id: uuid(7), source: 'NOMIS' })]
    await sink.write([incidentChange({ offset: 0, lsn: 10, rows: [reportRow(A), ...codes] })])
    await sink.publish()
    const shown = await ask(directory, 'SELECT source, code FROM current_reference_code ORDER BY source')
    expect(shown).toEqual([
      ['DPS', 'ASSAULT_5'],
      ['NOMIS', '3412'],
    ])
  })

  test('carries what made each row', async () => {
    const directory = temporaryDirectory()
    const sink = await openAnalytics(directory)
    await sink.write([incidentChange({ offset: 0, lsn: 10, op: 'u', partition: 3, rows: [reportRow(A)] })])
    await sink.publish()
    const lineage = 'position, lsn, committed_at, rules_version, source_table'
    const made = [position(1, 10, 1), '10', '1970-01-01 00:00:10+00', 'rules-1', 'public.report']
    expect(await ask(directory, `SELECT ${lineage} FROM current_report`)).toEqual([made])
    expect(
      await ask(directory, `SELECT ${lineage}, op, tx_id, topic_partition, topic_offset FROM history_report`),
    ).toEqual([[...made, 'u', '10', '3', '0']])
  })
})

describe('the temporal view', () => {
  test('has a state for the time it held: from its commit to the next, open at the end (rule analytics.temporal)', async () => {
    const directory = temporaryDirectory()
    const sink = await openAnalytics(directory)
    await sink.write([
      incidentChange({ offset: 0, lsn: 60, rows: [reportRow(A, { status: 'DRAFT' })] }),
      incidentChange({ offset: 1, lsn: 120, op: 'u', last: false, rows: [reportRow(A, { status: 'REPLACED' })] }),
      incidentChange({ offset: 2, lsn: 120, ordinal: 2, op: 'u', rows: [reportRow(A, { status: 'CLOSED' })] }),
      // The source's clock stepped back.
      incidentChange({ offset: 3, lsn: 180, committedAt: 90e6, op: 'u', rows: [reportRow(A, { status: 'REOPENED' })] }),
      incidentChange({ offset: 4, lsn: 240, op: 'd', rows: [reportRow(A, {}, 'delete')] }),
      incidentChange({ offset: 5, lsn: 300, rows: [reportRow(A, { status: 'ON_HOLD' })] }),
    ])
    await sink.publish()
    const columns = 'status, mojap_start_datetime, mojap_end_datetime, mojap_current_record'
    expect(await ask(directory, `SELECT ${columns} FROM temporal_report ORDER BY mojap_start_datetime`)).toEqual([
      ['DRAFT', '1970-01-01 00:01:00+00', '1970-01-01 00:02:00+00', 'false'],
      ['REOPENED', '1970-01-01 00:02:00+00', '1970-01-01 00:04:00+00', 'false'],
      ['ON_HOLD', '1970-01-01 00:05:00+00', '2999-01-01 00:00:00+00', 'true'],
    ])
    const at = (moment: string) => ask(directory, `SELECT status FROM report_as_of(TIMESTAMPTZ '${moment}')`)
    expect(await at('1970-01-01 00:02:00+00')).toEqual([['REOPENED']])
    expect(await at('1970-01-01 00:04:30+00')).toEqual([])
  })

  test('has exactly the state that held at each moment, whatever happened', async () => {
    const directory = temporaryDirectory()
    const sink = await openAnalytics(directory)
    const step = fc.record({
      row: fc.integer({ min: 1, max: 3 }),
      op: fc.constantFrom('u' as const, 'u' as const, 'r' as const, 'd' as const),
      committedAt: fc.integer({ min: 0, max: 9 }),
    })
    let offset = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
        const first = offset
        const expected: [moment: string, id: string, status: string][] = []
        const states = new Map<string, { start: number; status: string | null }[]>()
        const changes = steps.map(({ row, op, committedAt }) => {
          const id = uuid(first * 10 + row)
          const status = String(offset)
          const before = states.get(id) ?? []
          const start = Math.max(committedAt, before.at(-1)?.start ?? 0)
          states.set(id, [...before, { start, status: op === 'd' ? null : status }])
          const made = reportRow(id, { status }, op === 'd' ? 'delete' : 'upsert')
          offset += 1
          return incidentChange({ offset, lsn: 10 * offset, op, committedAt: committedAt * 1e6, rows: [made] })
        })
        for (let moment = 0; moment <= 10; moment += 1) {
          for (const [id, changesOfId] of states) {
            const status = changesOfId.findLast(({ start }) => start <= moment)?.status ?? null
            if (status !== null) expected.push([String(moment), id, status])
          }
        }
        await sink.write(changes)
        await sink.publish()
        const ids = [...states.keys()].map((id) => `'${id}'`).join(', ')
        const held = await ask(
          directory,
          `SELECT moment, id, status FROM range(11) AS moments(moment) JOIN temporal_report
             ON mojap_start_datetime <= make_timestamptz(moment * 1000000)
             AND mojap_end_datetime > make_timestamptz(moment * 1000000)
           WHERE id IN (${ids})`,
        )
        expect(new Set(held.map(String))).toEqual(new Set(expected.map(String)))
        expect(held).toHaveLength(expected.length)
        const current = 'SELECT id FROM temporal_report WHERE mojap_current_record ORDER BY id'
        expect(await ask(directory, current)).toEqual(await ask(directory, 'SELECT id FROM latest_report ORDER BY id'))
      }),
      { numRuns: 20 },
    )
  })
})

describe('older history in files', () => {
  const TRANSACTIONS = 130

  async function filled(directory: string, recentChanges: number): Promise<void> {
    const sink = await openAnalytics(directory, { recentChanges })
    for (let n = 0; n < TRANSACTIONS; n += 10) {
      await sink.write(Array.from({ length: 10 }, (_, i) => pairTransaction(n + i)).flat())
      await sink.publish()
    }
    await sink.close()
  }

  test('shows the same in every view as without files', async () => {
    const [withFiles, without] = [temporaryDirectory(), temporaryDirectory()]
    await filled(withFiles, 50)
    await filled(without, 1e6)
    expect(readdirSync(join(withFiles, 'history', 'report')).sort()).toHaveLength(4)
    expect(existsSync(join(without, 'history'))).toBe(false)
    for (const view of ['history_report', 'latest_report', 'current_report', 'temporal_report']) {
      const all = `FROM ${view} ORDER BY ALL`
      expect(await ask(withFiles, all)).toEqual(await ask(without, all))
    }
    const rows = await ask(withFiles, 'SELECT id, status FROM current_report ORDER BY id')
    expect(Object.fromEntries(rows)).toEqual(pairsAfter(TRANSACTIONS))
  })

  test('still counts each change once when an old one comes again', async () => {
    const directory = temporaryDirectory()
    await filled(directory, 50)
    const sink = await openAnalytics(directory)
    const again = pairTransaction(0).map(({ change, ...rest }) => ({ ...rest, change: { ...change, partition: 1 } }))
    await sink.write(again)
    await sink.close()
    expect(await ask(directory, 'SELECT count(*) FROM history_report')).toEqual([[String(2 * TRANSACTIONS)]])
  })

  test('are plain parquet to another reader', async () => {
    const directory = temporaryDirectory()
    await filled(directory, 50)
    const folder = join(directory, 'history', 'report')
    const [name] = readdirSync(folder).sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
    const { buffer } = new Uint8Array(await readFile(join(folder, name!)))
    const rows = await parquetReadObjects({
      file: buffer,
      columns: ['seq', 'id', 'status', 'incident_date_and_time', 'follow_up_date'],
      compressors: { ZSTD: (bytes) => zstdDecompressSync(bytes) },
    })
    const [first] = rows.sort((a, b) => Number(a['seq']) - Number(b['seq']))
    expect(first).toEqual({
      seq: 1n,
      id: uuid(0),
      status: '0',
      incident_date_and_time: new Date('2024-07-01T11:34:56.789Z'),
      follow_up_date: new Date('2024-07-09'),
    })
  })

  test('are found again when the directory was moved', async () => {
    const directory = temporaryDirectory()
    await filled(join(directory, 'before'), 50)
    renameSync(join(directory, 'before'), join(directory, 'after'))
    const sink = await openAnalytics(join(directory, 'after'))
    await sink.close()
    expect(await ask(join(directory, 'after'), 'SELECT count(*) FROM history_report')).toEqual([
      [String(2 * TRANSACTIONS)],
    ])
  })

  test('are deleted at start when no committed state lists them; a listed one that is missing stops it', async () => {
    const directory = temporaryDirectory()
    await filled(directory, 50)
    const folder = join(directory, 'history', 'report')
    const listed = readdirSync(folder)
    writeFileSync(join(folder, '900-999.parquet'), 'the rest of a crash')
    writeFileSync(join(folder, '900-999.parquet.next'), 'the rest of a crash')
    const sink = await openAnalytics(directory)
    await sink.close()
    expect(readdirSync(folder)).toEqual(listed)

    rmSync(join(folder, listed[0]!))
    await expect(openAnalytics(directory)).rejects.toMatchObject({ code: 'SINK_FOREIGN' })
  })
})
