/** What every place must hold: the source's rows, read with SQL in one snapshot, and what they mean. */
import { tableName, keyText, type RowChange } from '../core/change.ts'
import { ENTITIES, type Entity, type IncidentChange } from '../core/incident.ts'
import { position, BEGINNING, type Position } from '../core/position.ts'
import { catalog } from '../connectors/postgres/catalog.ts'
import type { Parents } from '../connectors/postgres/parents.ts'
import { connect } from '../connectors/postgres/session.ts'
import { snapshotFeed } from '../connectors/postgres/snapshot.ts'
import { rowReader } from '../connectors/postgres/tuples.ts'
import type { Output } from '../schemas/policy/clearance.ts'
import { projections } from '../schemas/policy/projection.ts'
import { unify } from '../transforms/unify.ts'
import { fieldsText, rowsOf, rowText, type Place, type Rows } from './place.ts'

export interface SourceTruth {
  /** The source's tables, row by row. */
  readonly tables: Place
  /** The unified rows as an output must hold them. */
  unified(output: Output): Place
  /** Rows that cannot be mapped, and what is left out as a copy. */
  readonly refused: number
  readonly copies: number
}

/** SOURCE_UNREACHABLE when the source does not answer. Holds every row: for databases that fit into memory. */
export async function sourceTruth(url: string, publication: string, pseudonymKey: string): Promise<SourceTruth> {
  const client = await connect(url)
  const tables = new Map<string, Rows>()
  const meanings: IncidentChange[] = []
  try {
    const feed = snapshotFeed({
      client,
      tables: await catalog(client).published(publication),
      exported: null,
      position: position(0, 0, 0),
      partitions: 1,
      parents: parentsInMemory(),
      streamedTo: () => BEGINNING,
      done: () => {},
      signal: new AbortController().signal,
    })
    for await (const batch of feed) {
      for (const item of batch.items) {
        const change: RowChange = { ...item, before: null, after: rowReader(item.table)(item.after!) }
        rowsOf(tables, tableName(item.table)).set(
          keyText(item.table, change.after!),
          rowText(item.table, change.after!),
        )
        meanings.push(unify(change))
      }
      await batch.ack()
    }
  } finally {
    await client.end()
  }
  return {
    tables: { name: 'source', entities: tables },
    unified: (output) => ({ name: 'source', entities: unifiedRows(meanings, output, pseudonymKey) }),
    refused: meanings.filter((each) => each.refusal !== null).length,
    copies: meanings.filter((each) => each.absence === 'copy-of-dps').length,
  }
}

function unifiedRows(meanings: readonly IncidentChange[], output: Output, pseudonymKey: string): Map<string, Rows> {
  const projected = projections(output, pseudonymKey)
  const entities = new Map<string, Rows>(ENTITIES.map((entity: Entity) => [entity, new Map()]))
  for (const { rows } of meanings) {
    for (const row of rows)
      rowsOf(entities, row.entity).set(row.id, fieldsText(projected[row.entity].project(row.value)))
  }
  return entities
}

function parentsInMemory(): Parents {
  const known = new Map<string, string>()
  return {
    find: (table, key) => known.get(`${table}/${key}`),
    set: (table, key, reference, _at: Position) => {
      if (reference === null) known.delete(`${table}/${key}`)
      else known.set(`${table}/${key}`, reference)
    },
    merge: () => {},
  }
}
