/** What `prove` compares: the places of this environment. */
import type { ProofOptions } from '../proof/proof.ts'
import { analyticsDirectory, dprDirectory, operationalUrl, topicsOf, type Runtime } from '../runtime.ts'
import { required } from '../config.ts'

export async function provable({ config, registry, raw, transport }: Runtime): Promise<ProofOptions> {
  return {
    databaseUrl: required(config, 'DATABASE_URL'),
    publication: config.NAMESPACE,
    namespace: config.NAMESPACE,
    pseudonymKey: required(config, 'PSEUDONYM_KEY'),
    registry,
    raw,
    unified: await transport.topic(topicsOf(config).unified),
    dprDirectory: dprDirectory(config),
    operationalUrl: operationalUrl(config),
    analyticsDirectory: analyticsDirectory(config),
  }
}
