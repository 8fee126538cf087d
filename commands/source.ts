/** `incidents source …` */
import { required, type Config } from '../config.ts'
import { initSource } from '../connectors/postgres/source-schema.ts'
import { EXIT } from '../core/error.ts'

/** Exit 0 when the schema was applied or nothing is missing, 3 when something is. */
export async function sourceInit(config: Config, options: { readonly json?: boolean }): Promise<number> {
  const result = await initSource(required(config, 'DATABASE_URL'), { publication: config.NAMESPACE })
  const missing = result.applied ? [] : result.missing
  if (options.json === true) process.stdout.write(`${JSON.stringify({ applied: result.applied, missing })}\n`)
  else process.stdout.write(`${told(result.applied, missing)}\n`)
  return missing.length === 0 ? EXIT.done : EXIT.configuration
}

function told(applied: boolean, missing: readonly string[]): string {
  if (applied) return 'The source schema was applied to the empty database.'
  if (missing.length === 0) return 'The database has everything; nothing was changed.'
  return [
    'The database is not empty; nothing was changed. Missing:',
    ...missing.map((sentence) => `  ${sentence}`),
  ].join('\n')
}
