/** Every page of the console. */
import type { FastifyInstance } from 'fastify'
import type { Operations } from '../operations.ts'
import { accessPage } from './access.ts'
import { analysePage, type AnalyseOptions } from './analyse.ts'
import { contractsPages } from './contracts.ts'
import { failuresPages } from './failures.ts'
import { incidentAnswerPages } from './incident-answers.ts'
import { incidentChangePages } from './incident-changes.ts'
import { incidentPeoplePages } from './incident-people.ts'
import { incidentTypePages } from './incident-type.ts'
import { incidentPage } from './incident.ts'
import { incidentsPage } from './incidents.ts'
import { pipelinePage } from './pipeline-page.ts'
import { reconciliationPages } from './reconciliation.ts'
import { rolloutPage } from './rollout.ts'
import { tablesPage } from './tables.ts'

export function consolePages(
  operations: Operations,
  analyse: AnalyseOptions,
): readonly ((app: FastifyInstance) => void)[] {
  return [
    pipelinePage(operations),
    tablesPage(operations),
    failuresPages(operations),
    reconciliationPages(operations),
    contractsPages(operations),
    incidentsPage,
    incidentPage(operations),
    incidentChangePages,
    incidentPeoplePages,
    incidentAnswerPages,
    incidentTypePages,
    rolloutPage,
    analysePage(analyse),
    accessPage,
  ]
}
