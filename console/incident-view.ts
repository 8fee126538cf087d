/** One incident as its page shows it: what the API answers, with what this reader may not read hidden. */
import type { z } from 'zod'
import type { ReportWithDetails } from '../api/shapes.ts'
import type { Entity } from '../core/incident.ts'
import type { Masking, Shown } from './masking.ts'

export type Details = z.infer<typeof ReportWithDetails>

type Row = Readonly<Record<string, Shown>>

export interface QuestionView {
  readonly question: Shown
  readonly code: string
  readonly additionalInformation: Shown
  readonly responses: readonly Row[]
}

export interface IncidentView {
  readonly report: Row
  readonly origin: string
  readonly questions: readonly QuestionView[]
  readonly earlier: readonly {
    readonly type: string
    readonly nomisType: string | null
    readonly changedAt: string
    readonly changedBy: Shown
    readonly questions: readonly QuestionView[]
  }[]
  readonly statuses: readonly Row[]
  readonly prisoners: readonly Row[]
  readonly staff: readonly Row[]
  readonly addenda: readonly Row[]
  readonly corrections: readonly Row[]
}

export function incidentView(details: Details, masking: Masking): IncidentView {
  const row = (entity: Entity, values: object, path: string): Row =>
    Object.fromEntries(
      Object.entries(values)
        .filter(([, value]) => typeof value !== 'object' || value === null)
        .map(([name, value]) => [name, masking.show(entity, name, value, path === '' ? name : `${path}.${name}`)]),
    )
  const rows = (entity: Entity, values: readonly object[], path: string): Row[] =>
    values.map((each, i) => row(entity, each, `${path}.${i}`))
  const questions = (given: Details['questions'], path: string): QuestionView[] =>
    given.map((each, i) => {
      const at = `${path}.${i}`
      const { question = { text: '', path: at }, additionalInformation = { text: '', path: at } } = row(
        'Question',
        each,
        at,
      )
      return {
        question,
        code: each.code,
        additionalInformation,
        responses: rows('Response', each.responses, `${at}.responses`),
      }
    })
  return {
    report: row('Report', details, ''),
    origin: originOf(details),
    questions: questions(details.questions, 'questions'),
    earlier: details.history.map(({ type, nomisType, changedAt, changedBy, questions: asked }, i) => ({
      type,
      nomisType,
      changedAt,
      changedBy: masking.show('TypeChange', 'changedBy', changedBy, `history.${i}.changedBy`),
      questions: questions(asked, `history.${i}.questions`),
    })),
    statuses: rows('StatusChange', details.historyOfStatuses, 'historyOfStatuses'),
    prisoners: rows('PrisonerInvolvement', details.prisonersInvolved, 'prisonersInvolved'),
    staff: rows('StaffInvolvement', details.staffInvolved, 'staffInvolved'),
    addenda: rows('DescriptionAddendum', details.descriptionAddendums, 'descriptionAddendums'),
    corrections: rows('CorrectionRequest', details.correctionRequests, 'correctionRequests'),
  }
}

/** Which model a report's rows are of, and where it began. */
export function originOf(report: Pick<Details, 'createdInNomis'> & { readonly nomisStatus?: string | null }): string {
  if (!report.createdInNomis) return 'DPS'
  return report.nomisStatus === null ? 'DPS, begun in NOMIS' : 'NOMIS'
}
