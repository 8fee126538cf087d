import { afterEach, beforeEach, expect, test } from 'vitest'
import { EXIT } from '../../core/error.ts'
import { runCommand, type Ended } from '../support/command.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase

beforeEach(async () => {
  database = await testDatabase()
})
afterEach(() => database.drop())

function init(...options: string[]): Promise<Ended> {
  return runCommand(['source', 'init', ...options], { DATABASE_URL: database.url, NAMESPACE: database.name })
}

test('source init fills an empty database, finds a full one complete, and says what a partial one lacks', async () => {
  expect(await init()).toMatchObject({
    code: EXIT.done,
    stdout: 'The source schema was applied to the empty database.\n',
    stderr: '',
  })
  expect(await init()).toMatchObject({
    code: EXIT.done,
    stdout: 'The database has everything; nothing was changed.\n',
    stderr: '',
  })
  await database.query('DROP TABLE nomis.questionnaire_roles; ALTER TABLE report REPLICA IDENTITY DEFAULT')
  expect(await init()).toMatchObject({
    code: EXIT.configuration,
    stdout:
      'The database is not empty; nothing was changed. Missing:\n' +
      '  The replica identity of public.report is not FULL.\n' +
      '  Table nomis.questionnaire_roles is missing.\n',
  })
})

test('with --json it prints one line, whatever it found', async () => {
  const answers: unknown[] = []
  for (const change of ['', '', 'DROP TABLE nomis.questionnaire_roles']) {
    await database.query(change)
    const { code, stdout } = await init('--json')
    expect(stdout.trimEnd()).not.toContain('\n')
    answers.push([code, JSON.parse(stdout)])
  }
  expect(answers).toEqual([
    [EXIT.done, { applied: true, missing: [] }],
    [EXIT.done, { applied: false, missing: [] }],
    [EXIT.configuration, { applied: false, missing: ['Table nomis.questionnaire_roles is missing.'] }],
  ])
})

test('a database that does not exist is named, without the password', async () => {
  const url = new URL(database.url)
  url.pathname = '/nowhere'
  const { code, stdout, stderr } = await runCommand(['source', 'init', '--json'], { DATABASE_URL: url.href })
  expect({ code, stdout }).toEqual({ code: EXIT.source, stdout: '' })
  expect(stderr).toMatch(
    /^SOURCE_UNREACHABLE: the source database nowhere at 127\.0\.0\.1:\d+ refuses: database "nowhere" does not exist\n {2}Check user, password and database/,
  )
  expect(stderr).not.toContain(url.password)
})
