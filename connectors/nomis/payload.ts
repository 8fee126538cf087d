/** NOMIS's own JSON of an incident, and the payload that it becomes (rule nomis.payload). */

interface NomisJson {
  readonly agency?: unknown
  readonly requirements?: unknown
  readonly [field: string]: unknown
}

/** `agency` is the payload's prison, a requirement's `agencyId` its prisonId; the rest has the same names. */
export function payloadOf({ agency, requirements, ...report }: NomisJson): unknown {
  return {
    ...report,
    prison: agency,
    requirements: Array.isArray(requirements)
      ? requirements.map(({ agencyId, ...requirement }: Record<string, unknown>) => ({
          ...requirement,
          prisonId: agencyId,
        }))
      : requirements,
  }
}
