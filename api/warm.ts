/** What the first callers would otherwise wait for. */
import type pg from 'pg'
import { readSummary, RECENT_MONTHS } from './assaults.ts'
import { onSnapshot, type Query } from './database.ts'
import { ReportQuery } from './parameters.ts'
import { readPage, readReport } from './queries.ts'

const NO_REPORT = '00000000-0000-0000-0000-000000000000'
const NO_REFERENCE = '-1'
const NO_PRISONER = ''

/**
 * Opens every connection of the pool, and has each of them read what it must know of the tables and plan what is asked
 * most. Rejects with PostgreSQL's error.
 */
export async function warm(database: pg.Pool): Promise<void> {
  const all = Array.from({ length: database.options.max }, () => onSnapshot(database, 'SELECT 1', askedMost))
  await Promise.all(all)
}

async function askedMost(query: Query): Promise<void> {
  const caseloads = null
  const asked = ReportQuery.parse({})
  await Promise.all([
    readReport(query, { by: 'id', value: NO_REPORT, shape: 'basic', caseloads }),
    readReport(query, { by: 'id', value: NO_REPORT, shape: 'details', caseloads }),
    readReport(query, { by: 'id', value: NO_REPORT, shape: 'detailsWithHistory', caseloads }),
    readReport(query, { by: 'reference', value: NO_REFERENCE, shape: 'basic', caseloads }),
    readReport(query, { by: 'reference', value: NO_REFERENCE, shape: 'details', caseloads }),
    readPage(query, { asked, caseloads }, { offset: 0, size: 1, sort: asked.sort }),
    readSummary(query, { prisonerNumber: NO_PRISONER, months: RECENT_MONTHS, caseloads }),
  ])
}
