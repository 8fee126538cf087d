/** Damage of every kind in every place, done behind the pipeline's back, and undone. */
import { cpSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { DuckDBInstance } from '@duckdb/node-api'
import type { Received } from '../../core/message.ts'
import { HEADER_BYTES } from '../../schemas/framing.ts'
import { rowId } from '../../transforms/identity.ts'
import type { Random } from '../../workload/random.ts'
import type { TestDatabase } from './postgres.ts'

/** As a verdict names it: place, key, why. */
export type Damage = `${string} ${string} ${'missing' | 'extra' | 'stale' | 'different'}`

/** Four rows of `prisoner_involvement`, one for each kind of damage; the stale one's newest change was streamed. */
export interface Victims {
  readonly different: number
  readonly missing: number
  readonly extra: number
  readonly stale: number
}

/** One bit of one letter of a code: another code, which no reader can tell from a right one. */
export function flipped(text: string, chance: Random): string {
  const at = chance.int(0, text.length - 1)
  return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1)
}

export function prisonerId(id: number): string {
  return rowId('public.prisoner_involvement', String(id))
}

const TABLE = 'prisons.incidents_prisoner_involvement'

export async function tamperOperational(
  database: TestDatabase,
  victims: Victims,
  chance: Random,
): Promise<{ damage: Damage[]; undo(): Promise<void> }> {
  const ids = Object.fromEntries(Object.entries(victims).map(([kind, id]) => [kind, prisonerId(id)]))
  const extra = chance.uuid(0)
  const [role] = await database.query<{ role: string }>(`SELECT prisoner_role AS role FROM ${TABLE} WHERE id = $1`, [
    ids['different'],
  ])
  const saved = await database.query<{ row: object }>(`SELECT to_jsonb(t) AS row FROM ${TABLE} t WHERE id = ANY ($1)`, [
    Object.values(ids),
  ])
  await database.query(`UPDATE ${TABLE} SET prisoner_role = $2 WHERE id = $1`, [
    ids['different'],
    flipped(role!.role, chance),
  ])
  await database.query(`DELETE FROM ${TABLE} WHERE id = $1`, [ids['missing']])
  await database.query(
    `INSERT INTO ${TABLE} SELECT (jsonb_populate_record(t, jsonb_build_object('id', $2::text))).* FROM ${TABLE} t WHERE id = $1`,
    [ids['extra'], extra],
  )
  await database.query(`UPDATE ${TABLE} SET prisoner_role = 'OLD', position = $2 WHERE id = $1`, [ids['stale'], OLD])
  return {
    damage: damaged('operational', { ...ids, extra } as Record<keyof Victims, string>),
    undo: async () => {
      await database.query(`DELETE FROM ${TABLE} WHERE id = ANY ($1)`, [[...Object.values(ids), extra]])
      for (const { row } of saved) {
        await database.query(`INSERT INTO ${TABLE} SELECT * FROM jsonb_populate_record(NULL::${TABLE}, $1)`, [row])
      }
    },
  }
}

const OLD = '0001/0000000000000001/00000001'

function damaged(place: string, keys: Readonly<Record<keyof Victims, string | number>>): Damage[] {
  return (['different', 'missing', 'extra', 'stale'] as const).map((why): Damage => `${place} ${keys[why]} ${why}`)
}

/** A published file of its own in `directory`, damaged; it says that it has passed everything. */
export async function tamperAnalytics(
  from: string,
  directory: string,
  victims: Victims,
  chance: Random,
): Promise<Damage[]> {
  cpSync(join(from, 'incidents.duckdb'), join(directory, 'incidents.duckdb'))
  const instance = await DuckDBInstance.create(join(directory, 'incidents.duckdb'))
  const connection = await instance.connect()
  const table = 'recent_history_prisoner_involvement'
  const tail = 'recent_tail_prisoner_involvement'
  await connection.run(`
    UPDATE ${table} SET newest = false WHERE id IN (SELECT id FROM ${tail} WHERE newest);
    INSERT INTO ${table} FROM ${tail};
    DELETE FROM ${tail}`)
  const ids = mapped(victims, prisonerId)
  const extra = chance.uuid(0)
  const role = await one(connection, `SELECT prisoner_role FROM ${table} WHERE newest AND id = '${ids.different}'`)
  await connection.run(`
    UPDATE place SET next_offset = 1000000000;
    UPDATE ${table} SET prisoner_role = '${flipped(role, chance)}' WHERE newest AND id = '${ids.different}';
    DELETE FROM ${table} WHERE id = '${ids.missing}';
    INSERT INTO ${table} SELECT * REPLACE ('${extra}' AS id) FROM ${table} WHERE newest AND id = '${ids.extra}';
    UPDATE ${table} SET prisoner_role = 'OLD', position = '${OLD}' WHERE newest AND id = '${ids.stale}'`)
  connection.closeSync()
  instance.closeSync()
  return damaged('analytics', { ...ids, extra })
}

/** A raw zone of its own in `directory`, whose two folders of prisoners are damaged. */
export async function tamperDpr(
  from: string,
  directory: string,
  victims: Victims,
  chance: Random,
  place: 'incidentreporting' | 'incidents',
): Promise<Damage[]> {
  const folder = join(directory, 'raw', place, 'prisoner_involvement')
  cpSync(join(from, 'raw', place, 'prisoner_involvement'), folder, { recursive: true })
  const isEntity = place === 'incidents'
  const ids: Record<keyof Victims, string | number> = isEntity ? mapped(victims, prisonerId) : { ...victims }
  const extra = isEntity ? chance.uuid(0) : 900_000_000 + chance.int(0, 1_000_000)
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  const bit = chance.int(0, 4)
  for (const [i, name] of readdirSync(folder)
    .filter((each) => each.endsWith('.parquet'))
    .entries()) {
    const file = join(folder, name)
    const flip = `left(prisoner_role, ${bit}) || chr(xor(unicode(substr(prisoner_role, ${bit + 1}, 1)), 1)) || substr(prisoner_role, ${bit + 2})`
    const key = (id: string | number): string => `CAST(id AS VARCHAR) = '${id}'`
    const rows = `SELECT * REPLACE (
        CASE WHEN ${key(ids.different)} THEN ${flip} WHEN ${key(ids.stale)} THEN 'OLD' ELSE prisoner_role END AS prisoner_role,
        CASE WHEN ${key(ids.stale)} THEN '' ELSE checkpoint_col END AS checkpoint_col)
      FROM read_parquet('${file}') WHERE NOT ${key(ids.missing)}`
    const added =
      i > 0
        ? ''
        : `UNION ALL (SELECT * REPLACE (${isEntity ? `'${extra}'` : `${extra}::INTEGER`} AS id, 'I' AS "Op") FROM read_parquet('${file}') LIMIT 1)`
    await connection.run(`COPY (${rows} ${added}) TO '${file}.next' (FORMAT parquet)`)
    renameSync(`${file}.next`, file)
  }
  connection.closeSync()
  instance.closeSync()
  return damaged(`dpr-raw ${place}`, { ...ids, extra })
}

/** The records of one row, oldest first. */
export type RowRecords = readonly Received[]

export interface TopicVictims {
  readonly different: { readonly key: string; readonly records: RowRecords; readonly text: string }
  /** Its records go, and the first becomes one of a row that the source does not have. */
  readonly missing: { readonly key: string; readonly records: RowRecords }
  /** Its newest record goes, an older one stays. */
  readonly stale: { readonly key: string; readonly records: RowRecords }
}

/** Changes records of an embedded topic where they lie. */
export function tamperTopic(
  stateDirectory: string,
  topic: string,
  victims: TopicVictims,
  chance: Random,
): { damage: Damage[]; undo(): void } {
  const db = new DatabaseSync(join(stateDirectory, 'topics.sqlite'), { timeout: 10_000 })
  const logs = new Map(
    db
      .prepare('SELECT id, partition FROM log WHERE topic = ?')
      .all(topic)
      .map((row) => [Number(row['partition']), Number(row['id'])]),
  )
  const idOf = ({ partition, offset }: Received): number => logs.get(partition)! * 2 ** 40 + offset
  const { different, missing, stale } = victims
  const extra = missing.key.includes('-') ? chance.uuid(0) : String(900_000_000 + chance.int(0, 1_000_000))
  const touched = [different.records.at(-1)!, ...missing.records, stale.records.at(-1)!]
  const saved = touched.map((record) =>
    db.prepare('SELECT id, time, key, value FROM record WHERE id = ?').get(idOf(record))!,
  )
  const value = Buffer.from(different.records.at(-1)!.value!)
  const at = value.lastIndexOf(different.text) + chance.int(0, different.text.length - 1)
  value[at]! ^= 1
  db.prepare('UPDATE record SET value = ? WHERE id = ?').run(value, idOf(different.records.at(-1)!))
  const remove = db.prepare('DELETE FROM record WHERE id = ?')
  for (const record of [...missing.records.slice(1), stale.records.at(-1)!]) remove.run(idOf(record))
  const renamed = renamedRecord(missing.records[0]!, missing.key, extra)
  db.prepare('UPDATE record SET key = ?, value = ? WHERE id = ?').run(
    renamed.key,
    renamed.value,
    idOf(missing.records[0]!),
  )
  return {
    damage: [
      `${topic} ${different.key} different`,
      `${topic} ${missing.key} missing`,
      `${topic} ${extra} extra`,
      `${topic} ${stale.key} stale`,
    ],
    undo: () => {
      const put = db.prepare('INSERT OR REPLACE INTO record (id, time, key, value) VALUES (?, ?, ?, ?)')
      for (const row of saved) put.run(row['id']!, row['time']!, row['key']!, row['value']!)
      db.close()
    },
  }
}

/** The same row under another key: an id of the governed topic in key and value, or the first column of a raw row. */
function renamedRecord({ key, value }: Received, from: string, to: string): { key: Buffer; value: Buffer } {
  if (from.includes('-')) return { key: replaced(key, from, to), value: replaced(value!, from, to) }
  const head = Buffer.from([0, 2, 2]) // no image before, one after, whose first column is not null
  const at = HEADER_BYTES + head.length
  const old = zigzag(Number(from))
  if (!value!.subarray(HEADER_BYTES, at + old.length).equals(Buffer.concat([head, old])))
    throw new Error('no first row')
  return { key, value: Buffer.concat([value!.subarray(0, at), zigzag(Number(to)), value!.subarray(at + old.length)]) }
}

function replaced(bytes: Buffer, from: string, to: string): Buffer {
  return Buffer.from(bytes.toString('latin1').replaceAll(from, to), 'latin1')
}

/** An int as Avro writes it. */
function zigzag(n: number): Buffer {
  const bytes: number[] = []
  for (let left = n * 2; ; left = Math.floor(left / 128)) {
    bytes.push((left % 128) + (left < 128 ? 0 : 128))
    if (left < 128) return Buffer.from(bytes)
  }
}

function mapped<T>(victims: Victims, map: (id: number) => T): Record<keyof Victims, T> {
  return {
    different: map(victims.different),
    missing: map(victims.missing),
    extra: map(victims.extra),
    stale: map(victims.stale),
  }
}

async function one(connection: Awaited<ReturnType<DuckDBInstance['connect']>>, sql: string): Promise<string> {
  return String((await connection.runAndReadAll(sql)).getRows()[0]![0])
}
