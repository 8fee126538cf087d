/** `incidents pause` and `incidents resume`: holding up what reads tables outside the stream. */
import { required, type Config } from '../config.ts'
import { askHold, type Hold } from '../connectors/postgres/requests.ts'
import { connect, disconnect } from '../connectors/postgres/session.ts'
import { EXIT } from '../core/error.ts'
import { lsnText } from '../core/position.ts'
import { fullName } from '../proof/repair.ts'

/** Exit 0 when it is asked for: capture does it when it comes to it in the WAL. */
export async function holdCommand(config: Config, kind: Hold['kind'], tables: readonly string[]): Promise<number> {
  const client = await connect(required(config, 'DATABASE_URL'))
  const named = tables.map(fullName)
  const lsn = await askHold(client, config.NAMESPACE, { kind, tables: named }).finally(() => disconnect(client))
  process.stderr.write(`${named.join(', ')}: ${kind} asked for at ${lsnText(lsn)}\n`)
  return EXIT.done
}
