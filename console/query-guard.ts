/**
 * Which SQL an analyst may run on the published copy: one SELECT over its own tables. Decided on DuckDB's parse tree, never
 * on the text. The process that runs it is locked as well; this says what was wrong before anything runs.
 */

/** Functions that make rows without looking anywhere. */
const TABLE_FUNCTIONS: ReadonlySet<string> = new Set(['range', 'generate_series', 'unnest', 'generate_subscripts'])

/** `report_as_of('2024-07-01')` and its like are the copy's own. */
const OWN_TABLE_FUNCTION = /^[a-z_]+_as_of$/

/** Functions that reach outside the data: settings, environment, files, other queries. */
const REACHING =
  /^(getenv|getvariable|current_setting|set_config|read_\w*|\w+_scan|glob|sniff_csv|query(_table)?|json_execute\w*|from_substrait\w*|parquet_\w*|duckdb_\w*|pragma_\w*|pg_\w*|sql_auto_complete|checkpoint|force_checkpoint|load_aws\w*|which_secret|add_parquet_key|write_log|parse_duckdb_log\w*|test_\w*|repeat_row|seq_scan|in_search_path|current_schemas?|current_database|version|icu_\w*|nextval|currval|error|sleep\w*|list_files|enable_\w*|disable_\w*|truncate_duckdb_logs)$/

/** Catalogues that name files and settings; what the copy means is in its table `dictionary`. */
const CATALOGUE = /^(duckdb_|pragma_|pg_|sqlite_)/
const CATALOGUE_SCHEMAS: ReadonlySet<string> = new Set(['information_schema', 'pg_catalog'])
const TABLE_NAME = /^[\p{L}_][\p{L}\p{N}_]*$/u

const COUNTING = /^(count|count_star|count_if|countif|sum|sum_no_overflow|approx_count_distinct|regr_count|histogram)$/

export interface Judged {
  /** One sentence; null when it may run. */
  readonly refused: string | null
  /** Whether its numbers may be of few people. */
  readonly counts: boolean
}

interface Parsed {
  readonly error: boolean
  readonly error_type?: string
  readonly error_message?: string
  readonly statements?: readonly unknown[]
}

/** `parsed` is what json_serialize_sql says of the statement. */
export function judge(parsed: Parsed): Judged {
  const no = (refused: string): Judged => ({ refused, counts: false })
  if (parsed.error) {
    if (parsed.error_type === 'not implemented')
      return no('Only SELECT is run here: nothing is changed, and no file is read or written.')
    return no(parsed.error_message ?? 'The SQL cannot be read.')
  }
  if (parsed.statements?.length !== 1) return no('One statement at a time is run.')
  const seen = { refused: null as string | null, counts: false }
  look(parsed.statements[0], seen, 0)
  return seen
}

function look(node: unknown, seen: { refused: string | null; counts: boolean }, depth: number): void {
  if (seen.refused !== null) return
  if (depth > 400) {
    seen.refused = 'The SQL is nested too deeply.'
    return
  }
  if (Array.isArray(node)) {
    for (const each of node) look(each, seen, depth + 1)
    return
  }
  if (typeof node !== 'object' || node === null) return
  const at = node as Record<string, unknown>
  seen.refused = refusedNode(at)
  const name = at['function_name']
  if (typeof name === 'string' && COUNTING.test(name.toLowerCase())) seen.counts = true
  for (const each of Object.values(at)) look(each, seen, depth + 1)
}

function refusedNode(node: Record<string, unknown>): string | null {
  const { type } = node
  if (type === 'TABLE_FUNCTION') {
    const name = nameOf((node['function'] as { function_name?: unknown } | null)?.function_name)
    return TABLE_FUNCTIONS.has(name) || OWN_TABLE_FUNCTION.test(name)
      ? null
      : `The function ${name} is not available here.`
  }
  if (type === 'BASE_TABLE') return refusedTable(node)
  if (type === 'SHOW_REF' && node['query'] === null) return refusedShow(node)
  const name = node['function_name']
  if (typeof name === 'string' && REACHING.test(name.toLowerCase())) {
    return `The function ${name.toLowerCase()} is not available here.`
  }
  return null
}

function refusedTable({ table_name, schema_name, catalog_name }: Record<string, unknown>): string | null {
  const [table, schema, catalog] = [table_name, schema_name, catalog_name].map(nameOf)
  if (!TABLE_NAME.test(table!)) return 'Only the tables of the published copy can be read, no files.'
  if (CATALOGUE.test(table!) || CATALOGUE_SCHEMAS.has(schema!) || !['', 'incidents'].includes(catalog!)) {
    return 'Catalogues are not available here; the table dictionary says what there is.'
  }
  return null
}

function refusedShow({ table_name }: Record<string, unknown>): string | null {
  return /^"?(tables|__show_tables_expanded|[\p{L}_][\p{L}\p{N}_]*)"?$/iu.test(String(table_name)) &&
    !CATALOGUE.test(String(table_name).replaceAll('"', '').toLowerCase()) &&
    !/databases|settings|secrets/i.test(String(table_name))
    ? null
    : 'Catalogues are not available here; the table dictionary says what there is.'
}

function nameOf(value: unknown): string {
  return typeof value === 'string' ? value.toLowerCase() : ''
}
