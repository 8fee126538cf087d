import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EXIT } from '../../core/error.ts'
import { ENTITIES } from '../../core/incident.ts'
import { ENTITY_DEFINITIONS } from '../../schemas/entity.ts'
import { runWorld, type RunWorld } from '../support/run-world.ts'

let world: RunWorld

beforeEach(async () => {
  world = await runWorld(20)
})

afterEach(() => world.close())

/** Every table of the operational store, as it is now, into a schema beside it. */
async function backUp({ database }: RunWorld): Promise<readonly string[]> {
  const rows = await database.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'prisons' AND c.relkind = 'r' AND c.relname NOT LIKE '%audit%'`,
  )
  await database.query('CREATE SCHEMA backup')
  for (const { name } of rows) await database.query(`CREATE TABLE backup.${name} AS TABLE prisons.${name}`)
  return rows.map(({ name }) => name)
}

describe('a sink that is not what it was', () => {
  test('restored from a backup reads on from the backup’s own place; emptied, or without a file, it is filled by a repair', async () => {
    const { database, environment } = world
    const first = world.start()
    await world.live(2, 40)
    await first.says(/the API listens/)
    expect(await world.differing(EXIT.done)).toEqual([])
    const tables = await backUp(world)
    await world.live(3, 40)
    expect(await world.differing(EXIT.done)).toEqual([])
    await world.stop(first)

    const whole = tables.map((name) => `TRUNCATE prisons.${name}; INSERT INTO prisons.${name} TABLE backup.${name}`)
    await database.query(`BEGIN; ${whole.join('; ')}; COMMIT`)
    const second = world.start()
    await second.says(/the API listens/)
    expect(await world.differing(EXIT.done), 'restored').toEqual([])

    // emptied behind the sink's back: its place says that everything is there
    const entities = ENTITIES.map((entity) => `prisons.incidents_${ENTITY_DEFINITIONS[entity].table}`)
    await database.query(`TRUNCATE ${entities.join(', ')}`)
    const folder = join(environment['DPR_DIR']!, 'raw', 'incidentreporting', 'prisoner_involvement')
    const [lost] = readdirSync(folder).filter((name) => name.startsWith('LOAD'))
    rmSync(join(folder, lost!))
    const found = await world.differing(EXIT.difference)
    expect(new Set(found.map(({ place: name, why }) => `${name} ${why}`))).toEqual(
      new Set(['operational missing', 'dpr-raw incidentreporting missing']),
    )
    expect(await world.printed(EXIT.done, 'repair', '--all')).toMatchObject({
      state: 'done',
      differing: 0,
      incomplete: 0,
    })
    expect(await world.differing(EXIT.done)).toEqual([])
    await world.expectEqual(second)
  })
})
