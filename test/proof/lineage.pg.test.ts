import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { image, keyText, tableName, type RowChange } from '../../core/change.ts'
import { lsnText } from '../../core/position.ts'
import { lineage, type Lineage, type RowLineage } from '../../proof/lineage.ts'
import { schemaId } from '../../schemas/framing.ts'
import { rawDecoder } from '../../schemas/raw-decoder.ts'
import { random } from '../../workload/random.ts'
import { settledPipeline, type Settled } from '../support/settled.ts'

let settled: Settled
let memory: DuckDBInstance
let published: DuckDBInstance

beforeAll(async () => {
  settled = await settledPipeline({ seed: 5, reports: 15, transactions: 80 })
  await settled.run(20) // on a slow machine the first snapshot may have all that was before
  memory = await DuckDBInstance.create(':memory:')
  published = await DuckDBInstance.create(join(settled.config.ANALYTICS_DIR!, 'incidents.duckdb'), {
    access_mode: 'READ_ONLY',
  })
})

afterAll(async () => {
  memory.closeSync()
  published.closeSync()
  await settled.close()
})

function lineageOf(report: string): Promise<Lineage> {
  return lineage(report, {
    operationalUrl: settled.database.url,
    raw: settled.runtime.raw,
    dpr: { zone: settled.config.DPR_DIR!, archive: null },
    analyticsDirectory: settled.config.ANALYTICS_DIR!,
  })
}

/** A row by where it stands, without asking how lineage found it. */
async function rowOfFile(file: string, table: string | null, row: number): Promise<Record<string, unknown>> {
  const connection = table === null ? await memory.connect() : await published.connect()
  const from =
    table === null
      ? `read_parquet('${file}', file_row_number = true) WHERE file_row_number = ${row}`
      : `${table} WHERE rowid = ${row}`
  const found = (await connection.runAndReadAll(`SELECT * FROM ${from}`)).getRowObjectsJson()[0]!
  connection.closeSync()
  return found
}

describe('what lineage says of a row is so in every place', () => {
  test('of 100 random rows', async () => {
    const references = await settled.database.query<{ reference: string }>(
      'SELECT DISTINCT reference FROM prisons.incidents_report ORDER BY 1',
    )
    const all: RowLineage[] = []
    for (const { reference } of references) all.push(...(await lineageOf(reference)).rows)
    const chance = random(5, 'rows')
    const rows = Array.from({ length: 100 }, () => all[chance.int(0, all.length - 1)]!)
    const { raw, registry } = settled.runtime
    const decoder = rawDecoder(registry)
    for (const row of rows) {
      const { records } = await raw.page(row.partition, row.offset, row.offset + 1)
      expect(schemaId(records[0]!.value!)).toBe(row.schemaId)
      const change = (await decoder.decode(records))[0] as RowChange
      expect([change.position, lsnText(change.lsn), change.txId || null]).toEqual([
        row.position,
        row.lsn,
        row.transactionId,
      ])
      expect(tableName(change.table)).toBe(row.sourceTable)
      expect(row.sourceKey.startsWith(keyText(change.table, image(change)))).toBe(true)

      const { table, id } = row.operational
      const [stored] = await settled.database.query(`SELECT position FROM ${table} WHERE id = '${id}'`)
      expect(stored).toEqual({ position: row.position })

      const inDpr = await rowOfFile(row.dpr!.file, null, row.dpr!.row)
      expect(inDpr['id']).toBe(row.id)
      expect(row.dpr!.lsn).toBe(row.transactionId === null ? null : row.lsn)

      const { file, table: recent, row: at } = row.analytics!
      expect(await rowOfFile(file, recent, at)).toMatchObject({ id: row.id, position: row.position })
    }
    expect(new Set(rows.map(({ entity }) => entity)).size).toBeGreaterThan(5)
    expect(rows.some((row) => row.transactionId !== null) && rows.some((row) => row.transactionId === null)).toBe(true)
  })

  test('by id as by reference', async () => {
    const [report] = await settled.database.query<{ id: string; reference: string }>(
      'SELECT id, reference FROM prisons.incidents_report LIMIT 1',
    )
    expect(await lineageOf(report!.id)).toEqual(await lineageOf(report!.reference))
  })
})

test('a report that is not there is said to be', async () => {
  await expect(lineageOf('1')).rejects.toMatchObject({ code: 'CONFIG' })
})
