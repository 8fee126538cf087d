/** Who is calling, and what a route asks of them. Every route names its roles; one hook holds them to it. */
export interface Caller {
  /** The person, or the client where no person stands behind the call. */
  readonly username: string
  readonly clientId: string
  /** With their prefix: `ROLE_…`. */
  readonly roles: ReadonlySet<string>
  /** What the client may do at all, whoever stands behind it: `read`, `write`. */
  readonly scopes: ReadonlySet<string>
  /** The prisons whose reports they may see; null when their roles alone decide. */
  readonly caseloads: ReadonlySet<string> | null
}

/** Whom or what an audit record is about. */
export interface Subject {
  readonly id: string
  readonly type: 'INCIDENT_REPORT' | 'PRISONER_ID' | 'AUDIT' | 'NOT_APPLICABLE'
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on every route that asks for a role. */
    caller: Caller
    /**
     * What the audit record is about. A route that has it neither in `:id`, `:reference` or `:prisonerNumber` nor in
     * `involvingPrisonerNumber` sets it.
     */
    subject: Subject | null
  }
  interface FastifyContextConfig {
    /** One of these is enough. A route without is open to everybody: health, info and the description alone. */
    roles?: readonly string[]
    /** What the audit record calls it: `VIEW_…`, `SEARCH_…`. A route that shows or changes an incident has one. */
    audited?: string
    /** Of a POST that changes nothing: it needs no scope `write`. */
    onlyAsks?: true
  }
}
