/** Capture is killed inside the first snapshot while rows change; DPR's verdict and its rows at the end. */
import pg from 'pg'
import { expect, test } from 'vitest'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import type { Change } from '../../core/change.ts'
import { verifyDpr } from '../../proof/dpr-verify.ts'
import { readDprTable } from '../../sinks/dpr-raw-fold.ts'
import { unify } from '../../transforms/unify.ts'
import { runTransactions, seedReports } from '../../workload/load.ts'
import { random } from '../../workload/random.ts'
import { captureProcess } from '../support/capture-process.ts'
import { PARTITIONS, temporaryDirectory } from '../support/capture.ts'
import { openDprRaw, rawZone } from '../support/dpr-raw.ts'
import { testDatabase } from '../support/postgres.ts'

const COMPARED = { report: 'title, status', question: 'label', response: 'label', prisoner_involvement: 'comment' }

test.each([1, 2, 3])(
  'seed %i: killed in the first snapshot under load, DPR takes every row and ends as the source',
  async (seed) => {
    const database = await testDatabase()
    const directory = await temporaryDirectory()
    const pool = new pg.Pool({ connectionString: database.url, max: 2 })
    const topic: Change[] = []
    const options = { url: database.url, name: database.name, stateDirectory: directory.path, chunkBytes: 8192 }
    const chance = random(seed, 'broken load')
    const isWhole = (): boolean => topic.some((each) => each.op === 'm' && each.snapshotDone)
    try {
      await initSource(database.url, { publication: database.name })
      const client = await pool.connect()
      await seedReports(client, { seed, reports: 40 })
      client.release()
      let kills = 0
      for (const rows of [chance.int(20, 400), chance.int(500, 900)]) {
        const child = captureProcess(options, topic)
        await expect.poll(() => topic.length > rows || isWhole(), { timeout: 30_000, interval: 5 }).toBe(true)
        if (!isWhole()) kills += 1
        child.kill()
        await child.ended
        await runTransactions(pool, { seed: seed * 10 + kills, transactions: 60 })
      }
      expect(kills).toBeGreaterThan(0)
      const last = captureProcess(options, topic)
      await runTransactions(pool, { seed: seed * 10 + 5, transactions: 60 })
      const { lsn } = (await database.query<{ lsn: string }>("SELECT pg_current_wal_insert_lsn() - '0/0' AS lsn"))[0]!
      const behind = (partition: number) => (each: Change) =>
        each.op === 'm' && each.snapshotDone && each.partition === partition && each.lsn >= Number(lsn)
      await expect
        .poll(() => [...Array(PARTITIONS).keys()].every((partition) => topic.some(behind(partition))), {
          timeout: 60_000,
        })
        .toBe(true)
      last.kill()
      await last.ended

      const zone = rawZone()
      const sink = await openDprRaw(zone)
      await sink.places([...Array(PARTITIONS).keys()])
      const items = numbered(topic).map((each) => unify(each))
      for (let at = 0; at < items.length;) {
        const next = at + chance.int(50, 2000)
        await sink.write(items.slice(at, next))
        at = next
      }
      expect((await verifyDpr(zone)).flatMap((each) => each.findings)).toEqual([])
      for (const [table, columns] of Object.entries(COMPARED)) {
        const names = ['id', ...columns.split(', ')]
        const held = await readDprTable(zone, 'incidentreporting', table)
        const source = await database.query(`SELECT ${names.join(', ')} FROM ${table} ORDER BY id::text COLLATE "C"`)
        const picked = held.map((row) => Object.fromEntries(names.map((name) => [name, row[name]])))
        expect(picked.toSorted((a, b) => (String(a['id']) < String(b['id']) ? -1 : 1))).toEqual(source)
      }
    } finally {
      await pool.end()
      await database.drop()
      await directory.remove()
    }
  },
)

/** Each partition's offsets from 0, in the order in which the records were written. */
function numbered(topic: readonly Change[]): Change[] {
  const next = Array.from({ length: PARTITIONS }, () => 0)
  return topic.map((each) => ({ ...each, offset: next[each.partition]!++ }))
}
