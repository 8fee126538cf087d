/** The captured tables while they change: which are followed, which are read again, which are stopped. */
import { tableName, type Table } from '../../core/change.ts'
import { PipelineError } from '../../core/error.ts'
import { position, type Lsn } from '../../core/position.ts'
import type { Transaction } from './assembler.ts'
import type { Catalog } from './catalog.ts'
import type { Relation } from './pgoutput.ts'
import { contractRemedy, meaningOf, sameTable, type Meaning, type Shape } from './schema-change.ts'
import type { Shapes } from './shapes.ts'
import type { Stops, Verdict } from './stopped.ts'

/** Where a table that has to be read again is queued; durable when it returns. */
export interface Requests {
  queue(table: string, reason: string): void
}

/** A relation of a transaction as its changes are made. */
export interface CapturedTable {
  readonly table: Table
  /** Its changes are not written. */
  readonly leftOut: boolean
}

export interface CapturedTables {
  /**
   * The tables of a committed transaction. A relation that is seen for the first time is compared with what is known of
   * its table; a TRUNCATE stops it.
   */
  of(transaction: Transaction): Promise<(relation: Relation) => CapturedTable>
  /** The catalog as it is now, without waiting for a row: tables that came, went, or changed in silence. */
  look(published: readonly Table[], at: Lsn): Promise<void>
  /** What is known: a look starts from there. */
  readonly known: ReadonlyMap<string, Shape>
  /** The tables as the first snapshot reads them: nothing to be compared with. */
  begin(published: readonly Table[]): Promise<void>
  /** Reads all of them again. */
  readAll(reason: string): void
}

export interface CapturedOptions {
  readonly catalog: Catalog
  readonly shapes: Shapes
  readonly stops: Stops
  readonly requests: Requests
  readonly epoch: number
  /** Whether the topic can take the table as it is: rejects with CONTRACT. */
  accept(table: Table): Promise<void>
  warn(sentence: string): void
}

export function capturedTables(options: CapturedOptions): CapturedTables {
  const { catalog, shapes, stops, requests, epoch, warn } = options
  const seen = new WeakMap<Relation, Table>()

  function stop(table: string, at: Lsn, verdict: Verdict): void {
    const known = stops.verdict(table)
    stops.stop(table, position(epoch, at, 0), verdict)
    if (known !== null || stops.verdict(table) === null) return
    warn(`${verdict.found}: its changes are no longer followed. ${verdict.remedy}`)
  }

  async function meaning(table: Table, identity: string | null): Promise<Meaning> {
    const name = tableName(table)
    const now = await catalog.shape(table)
    if (now === null) return { what: 'follow' } // gone already: the next look says so
    const former = [...shapes.all].find(([other, shape]) => other !== name && shape.oid === now.oid)
    const known = shapes.all.get(name) ?? null
    const found = meaningOf(known, { ...now, table, identity: identity ?? now.identity }, former?.[0] ?? null)
    if (found.what === 'stop') return found
    if (known !== null && sameTable(known.table, table)) return keepShape(found)
    try {
      await options.accept(table)
    } catch (error) {
      if (!(error instanceof PipelineError) || error.code !== 'CONTRACT') throw error
      return {
        what: 'stop',
        verdict: {
          found: `the topic cannot take ${name} as it is now: ${error.message}`,
          remedy: contractRemedy(table),
        },
      }
    }
    return keepShape(found)

    /** What is to be read again is queued before the shape is known, so that a crash between the two queues it again. */
    function keepShape(what: Meaning): Meaning {
      if (what.what === 'read' && stops.verdict(name) === null) {
        warn(`${what.reason}: it is read again`)
        requests.queue(name, what.reason)
      }
      if (known === null || what.what === 'read' || !sameTable(known.table, table)) shapes.put({ ...now!, table })
      return what
    }
  }

  async function follow(table: Table, identity: string | null, at: Lsn): Promise<void> {
    const found = await meaning(table, identity)
    if (found.what !== 'stop') return
    stop(tableName(table), at, found.verdict)
    if (found.former !== undefined) stop(found.former, at, found.verdict)
  }

  return {
    known: shapes.all,
    begin: async (published) => {
      for (const table of published) {
        const shape = await catalog.shape(table)
        if (shape !== null) shapes.put(shape)
      }
    },
    readAll: (reason) => {
      for (const name of shapes.all.keys()) requests.queue(name, reason)
    },
    of: async (transaction) => {
      const { commitLsn } = transaction
      for (const relation of transaction.truncated) stop(tableName(relation), commitLsn, truncated(relation))
      for (const relation of transaction.relations) {
        if (seen.has(relation)) continue
        const table = await catalog.table(relation)
        await follow(table, relation.identity, commitLsn)
        seen.set(relation, table)
      }
      const first = position(epoch, commitLsn, 1)
      const made = new Map(
        transaction.relations.map((relation) => {
          const table = seen.get(relation)!
          return [relation, { table, leftOut: stops.leavesOut(tableName(table), first) }]
        }),
      )
      return (relation) => made.get(relation)!
    },
    look: async (published, at) => {
      const present = new Set(published.map(tableName))
      for (const table of published) await follow(table, null, at)
      for (const name of shapes.all.keys()) if (!present.has(name)) stop(name, at, gone(name))
    },
  }
}

function truncated(table: Pick<Table, 'schema' | 'name'>): Verdict {
  return {
    found: `${tableName(table)} was truncated: its rows are gone from the source without a change for each`,
    remedy: `Find out who truncated it; \`incidents repair --table ${tableName(table)}\` makes every place equal to the source again.`,
  }
}

function gone(table: string): Verdict {
  return {
    found: `${table} is gone from the source`,
    remedy: `Find out who dropped it; when it is there again, \`incidents repair --table ${table}\` makes every place equal to the source.`,
  }
}
