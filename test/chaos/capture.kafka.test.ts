import { expect, test } from 'vitest'
import { describeOwnCluster, needKafka } from '../support/kafka.ts'
import { captureChaos } from './capture.ts'

const SEED = 1
const FAULTS = ['kill-broker', 'cut-broker', 'failpoint-written', 'stop-postgres']

describeOwnCluster('capture into Kafka', () => {
  test('loses and doubles nothing when the broker dies or cannot be reached', { timeout: 400_000 }, async () => {
    const { registryUrl } = needKafka()
    const faults = new Set<string>()
    for await (const run of captureChaos({ transport: 'kafka', registryUrl, seed: SEED, runs: 5, only: FAULTS })) {
      faults.add(run.fault)
      expect(run.violations, `seed ${SEED}, run ${run.run}: ${run.says}\n${run.log}`).toEqual([])
    }
    expect(faults.size).toBe(5)
  })
})
