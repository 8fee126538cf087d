/** How the tables of lineage name columns: a part of lineage.ts. */

/** Per field the columns that it is made of, as `schema.table.column`; none where the rules write a constant. */
export type Fields = Readonly<Record<string, readonly string[]>>

/** Fields that every entity makes of the source row's key; `reference` is the route to the incident. */
export function identity(...key: readonly string[]): Fields {
  return {
    id: key,
    sourceKey: key,
    reference: ['public.report.report_reference', 'nomis.incident_cases.incident_case_id'],
    source: [],
    sourceTable: [],
  }
}

export function columns(table: string, ...names: readonly string[]): string[] {
  return names.map((name) => `${table}.${name}`)
}
