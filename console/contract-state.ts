/** What others may rely on: a subject with its versions, fields, clearances and readers. */
export interface ContractVersion {
  readonly version: number
  readonly fields: readonly ContractField[]
}

export interface ContractField {
  readonly name: string
  readonly type: string
  readonly meaning: string
}

export interface SubjectState {
  readonly subject: string
  readonly record: string
  readonly topic: string
  readonly digest: string
  /** As the registry calls it; null when it is not registered. */
  readonly level: string | null
  readonly versions: readonly ContractVersion[]
  /** By output and field: what the policy makes of it. */
  readonly clearances: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly consumers: readonly {
    readonly consumer: string
    readonly from: string
    readonly fields: readonly string[]
  }[]
}
