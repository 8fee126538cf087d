/** What every runtime promises, whatever its stages run in: the same seeded workload, and each place equal at its end. */
import { afterEach, beforeEach, test } from 'vitest'
import { freePort } from '../../workload/postgres.ts'
import { environmentOf, expectAgreement, type AgreementOptions } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import type { StageProcess } from '../support/processes.ts'

export interface RuntimeUnderTest {
  readonly open: AgreementOptions['open']
  start(environment: Readonly<Record<string, string>>): readonly StageProcess[]
  /** What it needs beside what every environment has. */
  more(): Readonly<Record<string, string>>
}

export function runtimeContract({ open, start, more }: RuntimeUnderTest): void {
  let database: TestDatabase
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>
  let environment: Record<string, string>

  beforeEach(async () => {
    database = await testDatabase()
    directory = await temporaryDirectory()
    environment = { ...environmentOf(database, directory.path, await freePort()), ...more() }
  })

  afterEach(async () => {
    await database.drop()
    await directory.remove()
  })

  test.each([
    ['ends with the source’s rows in every place', { reports: 100, transactions: 5000, seed: 1, kills: 0 }],
    [
      'ends with them too when each process is killed at three random moments',
      { reports: 100, transactions: 5000, seed: 2, kills: 3 },
    ],
    [
      'puts rows that it cannot map into the dead letters, marks their incidents, and goes on with all others',
      { reports: 20, transactions: 200, unknownCodes: 8, seed: 3, kills: 0 },
    ],
  ])('%s', { timeout: 400_000 }, async (_, workload) => {
    await expectAgreement({ ...workload, database, environment, open, start: () => start(environment) })
  })
}
