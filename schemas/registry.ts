/** What a schema registry promises: in this process (registry-local.ts) or Confluent's API (registry-http.ts). */

export type Compatibility = 'BACKWARD_TRANSITIVE' | 'FULL_TRANSITIVE'

/** An Avro schema as parsed JSON. */
export type AvroSchema =
  string | readonly AvroSchema[] | { readonly type: unknown; readonly [attribute: string]: unknown }

export interface Registry {
  /**
   * The id of this schema under the subject, registered if it is new. CONTRACT when it is not compatible with the
   * subject's earlier versions; REGISTRY when the registry does not answer.
   */
  register(subject: string, schema: AvroSchema, compatibility: Compatibility): Promise<number>
  /** The schema of an id. MALFORMED_RECORD when no schema has it. */
  schema(id: number): Promise<AvroSchema>
}

/** A registry that tells what it holds. */
export interface ListedRegistry extends Registry {
  /** The subject's versions, oldest first; none when it does not exist. */
  versions(subject: string): Promise<readonly AvroSchema[]>
  /** The subject's own level as the registry calls it; null when it has none. */
  level(subject: string): Promise<string | null>
}

/** Confluent's TopicRecordName strategy. */
export function subjectName(topic: string, recordFullName: string): string {
  return `${topic}-${recordFullName}`
}
