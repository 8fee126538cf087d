/** Whether every place holds what the source holds, as it was found last. */
export interface Difference {
  readonly key: string
  readonly why: string
  readonly columns: readonly string[]
  readonly source: { readonly table: string; readonly key: string; readonly position: string | null } | null
  readonly place: string | null
}

export interface PlaceResult {
  readonly place: string
  readonly entity: string
  readonly rows: number
  readonly differing: number
  readonly unsettled: number
  readonly keys: readonly Difference[]
}

export interface ReconciliationResult {
  readonly differing: number
  readonly incomplete: number
  readonly unsettled: number
  readonly unreadable: readonly string[]
  readonly lsn: string
  readonly rows: number
  readonly seconds: number
  readonly places: readonly PlaceResult[]
}

export interface ReconciliationNow {
  /** What is being done at the moment. */
  readonly running: { readonly what: string; readonly since: number; readonly says: string } | null
  /** Newest first. */
  readonly results: readonly { readonly at: string; readonly result: ReconciliationResult }[]
  /** Why the last attempt came to nothing. */
  readonly failed: { readonly at: string; readonly says: string } | null
}
