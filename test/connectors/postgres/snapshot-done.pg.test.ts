import { afterEach, beforeEach, expect, test } from 'vitest'
import { isStreamed, type Change } from '../../../core/change.ts'
import { runCapture, temporaryDirectory } from '../../support/capture.ts'
import { testDatabase, type TestDatabase } from '../../support/postgres.ts'

let database: TestDatabase
let state: Awaited<ReturnType<typeof temporaryDirectory>>

beforeEach(async () => {
  database = await testDatabase()
  state = await temporaryDirectory()
  await database.query(`
    CREATE TABLE report (id int PRIMARY KEY, report_reference varchar(25));
    ALTER TABLE report REPLICA IDENTITY FULL;
    INSERT INTO report SELECT g, (1000 + g)::text FROM generate_series(1, 20) g;
    CREATE PUBLICATION ${database.name} FOR TABLE report`)
})

afterEach(async () => {
  await database.drop()
  await state.remove()
})

/** Until a row that is inserted once the snapshot is whole has come through. */
async function untilStreamed(id: number, before: readonly Change[]): Promise<Change[]> {
  let asked = false
  const { changes } = await runCapture({
    url: database.url,
    name: database.name,
    stateDirectory: state.path,
    before,
    write: async (written) => {
      if (asked || !written.some((change) => change.op === 'm' && change.snapshotDone)) return
      asked = true
      await database.query('INSERT INTO report VALUES ($1::int, $1::int::text)', [id])
    },
    until: ({ changes: all }) => all.some((change) => isStreamed(change)),
  })
  return changes
}

test('a first snapshot that is whole stays so, also where a capture that was replaced still says that it is not', async () => {
  const first = await untilStreamed(21, [])
  const denied = first.map((change) => (change.op === 'm' ? { ...change, snapshotDone: false } : change))
  const second = await untilStreamed(22, denied)
  expect(second.filter(({ op }) => op === 'r')).toEqual([])
  expect(second.filter((change) => change.op === 'm' && !change.snapshotDone)).toEqual([])
})
