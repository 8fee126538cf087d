/** What could not be processed, one by one and in groups, and what today’s rules would make of it. */
export interface Letter {
  readonly id: string
  /** When the source committed: milliseconds since the Unix epoch. */
  readonly at: number
  readonly position: string
  readonly schema: string
  readonly table: string
  readonly key: string | null
  readonly reference: string | null
  readonly code: string
  readonly message: string
  readonly remedy: string
  readonly rulesVersion: number
  readonly skipped: { readonly by: string; readonly reason: string; readonly at: number } | null
}

export interface LetterGroup {
  readonly code: string
  readonly letters: number
  readonly skipped: number
  readonly firstSeen: string
  readonly lastSeen: string
  readonly incidents: readonly string[]
}

export type LetterOutcome =
  | { readonly outcome: 'refused'; readonly code: string }
  | { readonly outcome: 'mapped'; readonly rows: readonly { entity: string; id: string; op: string }[] }
  | { readonly outcome: 'gone' }

export interface Failures {
  readonly groups: readonly LetterGroup[]
  readonly letters: readonly Letter[]
}
