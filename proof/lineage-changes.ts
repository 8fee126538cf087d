/** Where each change of an incident lies in DPR's files and in analytics, also of those that newer ones have followed. */
import type { Entity } from '../core/incident.ts'
import { ENTITY_DEFINITIONS } from '../schemas/entity.ts'
import type { ZonePlaces } from '../sinks/dpr-raw-zone.ts'
import { analyticsRows, dprVersions, type FileRow, type HistoryRow } from './lineage-files.ts'

export interface ChangeKey {
  readonly entity: Entity
  readonly id: string
  readonly position: string
  /** As PostgreSQL prints it. */
  readonly lsn: string
}

export interface ChangePlaces {
  /** Null where the zone has no row of this change: it is not flushed yet, or a newer one went in its stead. */
  readonly dpr: FileRow | null
  /** With the record of the raw topic; null when it is not published yet. */
  readonly analytics: HistoryRow | null
}

/** By `entity/id/position`. Reads every file of these entities: it is asked for, not done by the way. */
export async function changePlaces(
  changes: readonly ChangeKey[],
  { dpr, analyticsDirectory }: { readonly dpr: ZonePlaces; readonly analyticsDirectory: string },
): Promise<Map<string, ChangePlaces>> {
  const found = new Map<string, ChangePlaces>()
  for (const [entity, its] of Map.groupBy(changes, (change) => change.entity)) {
    const { table } = ENTITY_DEFINITIONS[entity]
    const ids = [...new Set(its.map(({ id }) => id))]
    const published = await analyticsRows(analyticsDirectory, table, ids)
    const files = new Map<string, FileRow>()
    for (const { id, ...row } of await dprVersions(dpr, table, ids)) files.set(`${id}/${row.lsn ?? ''}`, row)
    for (const { id, position, lsn } of its) {
      // rows of load files name no position: they are those that were read outside the stream
      const loaded = position.endsWith('/00000000') ? files.get(`${id}/`) : undefined
      found.set(`${entity}/${id}/${position}`, {
        dpr: files.get(`${id}/${lsn}`) ?? loaded ?? null,
        analytics: published.get(`${id}/${position}`) ?? null,
      })
    }
  }
  return found
}
