/** Every place against the source, at one moment when the source rests. */
import type { Registry } from '../schemas/registry.ts'
import type { Topic } from '../transport/topic.ts'
import { compare, type Comparison } from './compare.ts'
import type { Place } from './place.ts'
import { sourceTruth, type SourceTruth } from './source.ts'
import { analyticsPlace, dprPlaces, operationalPlace } from './stores.ts'
import { rawPlace, unifiedPlace } from './topics.ts'

export interface ProofOptions {
  readonly databaseUrl: string
  readonly publication: string
  readonly namespace: string
  readonly pseudonymKey: string
  readonly registry: Registry
  readonly raw: Topic
  readonly unified: Topic
  readonly dprDirectory: string
  readonly operationalUrl: string
  readonly analyticsDirectory: string
}

export interface Proof {
  /** Rows of the source itself, by entity. */
  readonly source: ReadonlyMap<string, number>
  readonly places: readonly Comparison[]
  readonly differing: number
  /** Source rows that could not be mapped: their incidents are incomplete. */
  readonly incomplete: number
  /** NOMIS rows left out because they are copies of DPS reports. */
  readonly copies: number
}

/** Reads the source and every place, and compares by key and content. Nothing may write meanwhile. */
export async function prove(options: ProofOptions): Promise<Proof> {
  const truth = await sourceTruth(options.databaseUrl, options.publication, options.pseudonymKey)
  const places = await comparisons(truth, options)
  const source = new Map(
    [...truth.tables.entities, ...truth.unified('operational').entities].map(([entity, rows]) => [entity, rows.size]),
  )
  return {
    source,
    places,
    differing: places.reduce((sum, each) => sum + each.differing, 0),
    incomplete: truth.refused,
    copies: truth.copies,
  }
}

async function comparisons(truth: SourceTruth, options: ProofOptions): Promise<Comparison[]> {
  const { raw, unified, registry, pseudonymKey, namespace } = options
  const publicTables = onlySchema(truth.tables, 'public')
  const names = [...publicTables.entities.keys()].map((name) => name.slice('public.'.length))
  const dpr = await dprPlaces(options.dprDirectory, names, pseudonymKey)
  return [
    ...compare(truth.tables, await rawPlace(raw, registry, `${namespace}.proof`)),
    ...compare(truth.unified('unified'), await unifiedPlace(unified, registry, pseudonymKey, `${namespace}.proof`)),
    ...compare(publicTables, dpr.tables),
    ...compare(truth.unified('dpr-raw'), dpr.unified),
    ...compare(truth.unified('operational'), await operationalPlace(options.operationalUrl, pseudonymKey)),
    ...compare(truth.unified('analytics'), await analyticsPlace(options.analyticsDirectory, pseudonymKey)),
  ]
}

function onlySchema(place: Place, schema: string): Place {
  const entities = new Map([...place.entities].filter(([name]) => name.startsWith(`${schema}.`)))
  return { ...place, entities }
}
