/** The decoder against another one: every message of a real server's, value by value. */
import pg from 'pg'
import { PgoutputPlugin, type Pgoutput } from 'pg-logical-replication'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { decodeFrame, type Relation, type WalMessage } from '../../../connectors/postgres/pgoutput.ts'
import { completed } from '../../../connectors/postgres/tuples.ts'
import { parseLsn } from '../../../core/position.ts'
import type { Tuple } from '../../../core/change.ts'
import { cellsOf, peek, publish, type Cell, type PeekedFrame } from '../../support/pgoutput.ts'
import { testDatabase, type TestDatabase } from '../../support/postgres.ts'

const SCHEMA = `
  CREATE SCHEMA "we""ird schéma";
  CREATE TYPE "we""ird schéma".mood AS ENUM ('sad', 'ö "k"');
  CREATE DOMAIN "we""ird schéma".short AS varchar(5);
  CREATE TABLE "we""ird schéma"."tab'le 表" (
    "id ü" int PRIMARY KEY, "a""b" "we""ird schéma".mood, c "we""ird schéma".short, d numeric(12, 3), e timestamptz(3), f int[]);
  ALTER TABLE "we""ird schéma"."tab'le 表" REPLICA IDENTITY FULL;
  CREATE TABLE plain (id int, part text, note text, PRIMARY KEY (id, part));
  CREATE TABLE big (id int PRIMARY KEY, small text, large text);
  CREATE TABLE whole (id int PRIMARY KEY, small text, large text);
  CREATE TABLE by_index (a text NOT NULL, b text);
  CREATE UNIQUE INDEX by_index_a ON by_index (a);
  ALTER TABLE big ALTER large SET STORAGE EXTERNAL;
  ALTER TABLE whole ALTER large SET STORAGE EXTERNAL, REPLICA IDENTITY FULL;
  ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_a;`

const TABLES = `"we""ird schéma"."tab'le 表", plain, big, whole, by_index`

const LARGE = `(SELECT string_agg(md5(g::text), '') FROM generate_series(1, 200) g)`

/** One transaction each. */
const WORKLOAD = [
  `INSERT INTO "we""ird schéma"."tab'le 表" VALUES
     (1, 'sad', 'x', 1.5, '2024-01-01', '{1,NULL}'), (2, 'ö "k"', NULL, 'NaN', 'infinity', '{}'), (-3, NULL, '', -0.001, NULL, NULL)`,
  `UPDATE "we""ird schéma"."tab'le 表" SET c = 'y' WHERE "id ü" = 1`,
  `UPDATE "we""ird schéma"."tab'le 表" SET "id ü" = 7 WHERE "id ü" = 2`,
  `DELETE FROM "we""ird schéma"."tab'le 表" WHERE "id ü" = 7`,
  `INSERT INTO plain VALUES (1, 'a', '😀'), (2, 'b', E'tab\\tline\\nquote'''), (3, '', NULL)`,
  `UPDATE plain SET note = 'only the note' WHERE id = 1`,
  `UPDATE plain SET part = 'c' WHERE id = 2`,
  `DELETE FROM plain WHERE id = 3`,
  `INSERT INTO big SELECT 1, 's', ${LARGE}`,
  `UPDATE big SET small = 't'`,
  `UPDATE big SET id = 2`,
  `INSERT INTO whole SELECT 1, 's', ${LARGE}`,
  `UPDATE whole SET small = 't'`,
  `DELETE FROM whole`,
  `INSERT INTO by_index VALUES ('k', 'v')`,
  `UPDATE by_index SET a = 'l'`,
  `DELETE FROM by_index`,
  `SELECT pg_logical_emit_message(true, 'in a transaction', 'content'), pg_logical_emit_message(false, 'aside', ''::bytea)`,
  `BEGIN; INSERT INTO plain VALUES (10, 'kept', NULL); SAVEPOINT a; INSERT INTO plain VALUES (11, 'undone', NULL);
     ROLLBACK TO a; INSERT INTO plain VALUES (12, 'kept too', NULL); COMMIT`,
  `ALTER TABLE plain ADD COLUMN more char(3)`,
  `INSERT INTO plain VALUES (20, 'wider', NULL, 'x')`,
  `ALTER TABLE plain DROP COLUMN note`,
  `INSERT INTO plain VALUES (21, 'narrower', 'y')`,
  `TRUNCATE plain, big RESTART IDENTITY CASCADE`,
  `SELECT pg_replication_origin_create(current_database() || ' elsewhere')`,
]

let database: TestDatabase
let frames: PeekedFrame[]
let theirs: Pgoutput.Message[]

beforeAll(async () => {
  database = await testDatabase()
  await database.query(SCHEMA)
  await publish(database, TABLES)
  for (const sql of WORKLOAD) await database.query(sql)
  await database.query(`
    SELECT pg_replication_origin_session_setup(current_database() || ' elsewhere');
    BEGIN; SELECT pg_replication_origin_xact_setup('0/ABCDEF', '2024-01-01'); INSERT INTO by_index VALUES ('from', 'elsewhere'); COMMIT;
    SELECT pg_replication_origin_session_reset()`)
  frames = await peek(database)
  // the other decoder turns texts into values by pg's parsers: here it shall not
  const parsers = vi.spyOn(pg.types, 'getTypeParser').mockReturnValue((text: string) => text)
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [] })
  theirs = frames.map(({ body }) => plugin.parse(body))
  parsers.mockRestore()
})

afterAll(async () => {
  await database.query(`SELECT pg_replication_origin_drop(current_database() || ' elsewhere')`)
  await database.drop()
})

test('the workload has every kind of message', () => {
  expect(new Set(theirs.map(({ tag }) => tag))).toEqual(
    new Set(['begin', 'commit', 'relation', 'type', 'origin', 'insert', 'update', 'delete', 'truncate', 'message']),
  )
  const updates = theirs.filter((message) => message.tag === 'update')
  expect(updates.some(({ key }) => key !== null)).toBe(true)
  expect(updates.some(({ old }) => old !== null)).toBe(true)
  expect(updates.some((update) => Object.values(update.new).includes(undefined))).toBe(true)
})

test('both decoders read the same out of each message', () => {
  const relations = new Map<number, Relation>()
  for (const [i, frame] of frames.entries()) {
    const ours = decodeFrame(frame)!
    if (ours.tag === 'relation') relations.set(ours.relation.oid, ours.relation)
    expect(asWeRead(ours, relations)).toStrictEqual(asTheyRead(theirs[i]!, frame))
  }
})

type Named = Record<string, Cell>

/** As the other decoder does: what an update did not send is filled in from the whole row before, else it stays open. */
function sentOrKept(message: Extract<WalMessage, { tag: 'insert' | 'update' }>): Tuple {
  if (message.tag === 'insert') return message.after
  return completed(message.whole ? message.before : null, message.after) ?? message.after
}

function named(relation: Relation, tuple: Tuple): Named {
  return Object.fromEntries(cellsOf(tuple).map((cell, i) => [relation.columns[i]!.name, cell]))
}

/** What both forms can say of a message. */
function asWeRead(message: WalMessage, relations: ReadonlyMap<number, Relation>): object {
  switch (message.tag) {
    case 'begin':
      return message
    case 'commit':
      return message
    case 'relation': {
      const { oid, schema, name, identity, columns } = message.relation
      return { tag: 'relation', oid, schema, name, identity, columns }
    }
    case 'insert':
    case 'update':
    case 'delete': {
      const { tag, oid, lsn } = message
      const relation = relations.get(oid)!
      const before = tag === 'insert' || message.before === null ? null : named(relation, message.before)
      const after = tag === 'delete' ? null : named(relation, sentOrKept(message))
      return { tag, oid, lsn, whole: tag !== 'insert' && message.whole, before, after }
    }
    case 'truncate':
      return message
    case 'message':
      return message
    case 'type':
    case 'origin':
    case 'stream-start':
    case 'stream-stop':
    case 'stream-commit':
    case 'stream-abort':
      return { tag: message.tag }
  }
}

const IDENTITIES = { default: 'd', nothing: 'n', full: 'f', index: 'i' }

function asTheyRead(message: Pgoutput.Message, { lsn }: PeekedFrame): object {
  switch (message.tag) {
    case 'begin':
      return {
        tag: 'begin',
        commitLsn: parseLsn(message.commitLsn!),
        committedAt: Number(message.commitTime),
        txId: message.xid,
      }
    case 'commit':
      return { tag: 'commit', commitLsn: parseLsn(message.commitLsn!), endLsn: parseLsn(message.commitEndLsn!) }
    case 'relation': {
      const columns = message.columns.map(({ name, typeOid, typeMod }) => ({ name, oid: typeOid, modifier: typeMod }))
      const { relationOid: oid, schema, name, replicaIdentity } = message
      return { tag: 'relation', oid, schema, name, identity: IDENTITIES[replicaIdentity], columns }
    }
    case 'insert':
      return {
        tag: 'insert',
        oid: message.relation.relationOid,
        lsn,
        whole: false,
        before: null,
        after: { ...message.new },
      }
    case 'update':
    case 'delete': {
      const { tag, relation, old } = message
      const key = message.key === null ? null : keyTuple(relation, message.key)
      const after = tag === 'delete' ? null : { ...message.new }
      return {
        tag,
        oid: relation.relationOid,
        lsn,
        whole: old !== null,
        before: old === null ? key : { ...old },
        after,
      }
    }
    case 'truncate':
      return { tag: 'truncate', oids: message.relations.map(({ relationOid }) => relationOid), lsn }
    case 'message':
      return {
        tag: 'message',
        prefix: message.prefix,
        content: Buffer.from(message.content),
        lsn: parseLsn(message.messageLsn!),
        transactional: message.transactional,
      }
    case 'type':
    case 'origin':
      return { tag: message.tag }
  }
}

/** A key comes as a tuple whose other columns are NULL. */
function keyTuple(relation: Pgoutput.MessageRelation, key: Record<string, Cell>): Named {
  return Object.fromEntries(relation.columns.map(({ name }) => [name, key[name] ?? null]))
}
