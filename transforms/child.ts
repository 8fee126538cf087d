/** What rows carry that belong to an incident, whichever entity they are. */
import { incident, key, type Cells } from './cells.ts'
import { rowId } from './identity.ts'

/** Of the new model. A child does not know where its report was last edited: DPS, which holds it, speaks for it. */
export function dpsChild(source: Cells, table: string) {
  return child(source, 'DPS', table, key(source, ['id']))
}

/** Of the legacy model; `columns` is the primary key. */
export function nomisChild(source: Cells, table: string, columns: readonly string[]) {
  return child(source, 'NOMIS', table, key(source, columns))
}

/** The id of the legacy report with this number. */
export function nomisReportId(caseId: string): string {
  return rowId('nomis.incident_cases', caseId)
}

function child(source: Cells, model: 'DPS' | 'NOMIS', table: string, sourceKey: string) {
  return {
    id: rowId(table, sourceKey),
    reference: incident(source),
    source: model,
    systemOfRecord: model,
    sourceTable: table,
    sourceKey,
  }
}
