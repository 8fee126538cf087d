import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { EXIT } from '../../core/error.ts'
import type { Reconciliation } from '../../proof/reconcile.ts'
import type { SignedReport } from '../../proof/report.ts'
import { rowId } from '../../transforms/identity.ts'
import { seedReports } from '../../workload/load.ts'
import { freePort } from '../../workload/postgres.ts'
import { environmentOf } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { runCommand, startCommand, type Ended, type RunningCommand } from '../support/command.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { smallDisk } from '../support/small-disk.ts'

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let environment: Record<string, string>
let running: RunningCommand

beforeAll(async () => {
  database = await testDatabase()
  directory = await temporaryDirectory()
  environment = {
    ...environmentOf(database, directory.path, await freePort()),
    REPORT_SIGNING_KEY: keyFile('key.pem'),
  }
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await seedReports(client, { seed: 1, reports: 5 })
  await client.end()
  running = startCommand(['run'], { ...environment, LOG_LEVEL: 'info' })
  await running.says(/the API listens/)
})

afterAll(async () => {
  running.signal('SIGKILL')
  await running.ended
  await directory.remove()
  await database.drop()
})

function keyFile(name: string): string {
  const path = join(directory.path, name)
  writeFileSync(path, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }))
  return path
}

const reconcile = (...args: string[]): Promise<Ended> => runCommand(['reconcile', ...args], environment)

/** Writes a report and gives the paths of its two files. */
async function reported(...args: string[]): Promise<{ code: number | null; json: string; html: string }> {
  const { code, stderr } = await reconcile('--report', directory.path, ...args)
  const [json, html] = stderr.trim().split('\n')
  return { code, json: json!, html: html! }
}

describe('the command line of reconcile', () => {
  test('ends with 0 and one line of JSON when no row differs', async () => {
    const { code, stdout, stderr } = await reconcile('--json')
    expect({ code, stderr }).toEqual({ code: EXIT.done, stderr: '' })
    const found = JSON.parse(stdout) as Reconciliation
    expect(found).toMatchObject({ differing: 0, unsettled: 0, unreadable: [] })
    expect(stdout.split('\n')).toEqual([expect.any(String), ''])
  })

  test('leaves a signed report of what it printed, which anybody can verify', async () => {
    const { code, json, html } = await reported()
    expect(code).toBe(EXIT.done)
    const { report, signature } = JSON.parse(readFileSync(json, 'utf8')) as SignedReport
    expect(json).toBe(join(directory.path, `reconcile-${report.result.lsn.replace('/', '-')}.json`))
    expect(readFileSync(html, 'utf8')).toContain(signature!.keyFingerprint)
    const verified = await reconcile('--verify', json, '--json')
    expect(JSON.parse(verified.stdout)).toMatchObject({ valid: true, reason: 'signed', lsn: report.result.lsn })
    expect(verified.code).toBe(EXIT.done)
    const told = await runCommand(['reconcile', '--verify', json])
    expect(told).toMatchObject({
      code: EXIT.done,
      stdout: expect.stringContaining(signature!.keyFingerprint) as string,
    })
  })

  test('ends with 1 when a row differs, names it in words, and the report says so too', async () => {
    const [victim] = await database.query<{ id: number }>('SELECT id FROM staff_involvement ORDER BY id LIMIT 1')
    const id = rowId('public.staff_involvement', String(victim!.id))
    const set = (comment: string): Promise<unknown> =>
      database.query(`UPDATE prisons.incidents_staff_involvement SET comment = ${comment} WHERE id = '${id}'`)
    const [was] = await database.query<{ comment: string | null }>(
      `SELECT comment FROM prisons.incidents_staff_involvement WHERE id = '${id}'`,
    )
    await set(`'by hand'`)
    try {
      const { code, stdout } = await reconcile('--place', 'operational')
      expect(code).toBe(EXIT.difference)
      expect(stdout).toMatch(new RegExp(`^ {2}${id} is different in comment; source \\S+, place \\S+$`, 'm'))
      expect(stdout).toMatch(/^1 rows differ at LSN [0-9A-F/]+\.$/m)
      expect(stdout).not.toMatch(/analytics|by hand/)
      const { code: reportedCode, json, html } = await reported('--place', 'operational')
      expect(reportedCode).toBe(EXIT.difference)
      expect(readFileSync(html, 'utf8')).toContain(id)
      // what it found is another matter than whether it is as it was signed
      const verified = await reconcile('--verify', json, '--json')
      expect(JSON.parse(verified.stdout)).toMatchObject({ valid: true, differing: 1 })
      expect(verified.code).toBe(EXIT.done)
    } finally {
      await set(was!.comment === null ? 'NULL' : `'${was!.comment.replaceAll("'", "''")}'`)
    }
  })

  test('says where an archive may be missing, and reads it where it is named, as lineage does (rule dpr.archive)', async () => {
    const archive = join(directory.path, 'archive')
    const folder = 'incidents/staff_involvement'
    const moved = join(archive, folder)
    mkdirSync(dirname(moved), { recursive: true })
    renameSync(join(environment['DPR_DIR']!, 'raw', folder), moved)
    const [report] = await database.query<{ reference: string }>(
      `SELECT reference FROM prisons.incidents_staff_involvement ORDER BY id LIMIT 1`,
    )
    const lineage = async (more: Record<string, string>): Promise<string> =>
      (await runCommand(['lineage', report!.reference], { ...environment, ...more })).stdout
    try {
      const without = await reconcile('--place', 'dpr-raw')
      expect(without.code).toBe(EXIT.difference)
      expect(without.stdout).toMatch(/ is missing; /)
      expect(without.stdout).toMatch(/^Where jobs have archived .* name their archive in DPR_ARCHIVE_DIR/m)
      const named = { DPR_ARCHIVE_DIR: archive }
      const found = await runCommand(['reconcile', '--place', 'dpr-raw'], { ...environment, ...named })
      expect(found).toMatchObject({ code: EXIT.done, stdout: expect.stringMatching(/No row differs/) as string })
      expect(await lineage(named)).toContain(`${moved}/LOAD`)
      expect(await lineage({})).not.toContain(folder)
    } finally {
      renameSync(moved, join(environment['DPR_DIR']!, 'raw', folder))
    }
  })

  test('ends with 5 when its keys and hashes find no room, and with 3 when there is no folder for them', async () => {
    const disk = await smallDisk(16 << 10)
    try {
      const full = await runCommand(['reconcile'], { ...environment, TMPDIR: disk.path })
      expect(full.stderr).toMatch(
        /^DISK_FULL: No space is left in \S+ for the keys and hashes of the comparison.*\n {2}\S.*$/m,
      )
      expect(full.code).toBe(EXIT.target)
      expect(readdirSync(disk.path)).toEqual([])
    } finally {
      await disk.remove()
    }
    const nowhere = await runCommand(['reconcile'], { ...environment, TMPDIR: disk.path })
    expect(nowhere.stderr).toMatch(/^CONFIG: No folder can be made in \S+.*\n {2}Set TMPDIR/m)
    expect(nowhere.code).toBe(EXIT.configuration)
  })

  test('--verify ends with 1 for a report that was altered, that another key signed, or that nobody did', async () => {
    const { json } = await reported('--place', 'operational')
    const altered = join(directory.path, 'altered.json')
    writeFileSync(altered, readFileSync(json, 'utf8').replace(/"seconds": \d/, '"seconds": 9999'))
    const unsigned = join(directory.path, 'unsigned.json')
    const report = JSON.parse(readFileSync(json, 'utf8')) as SignedReport
    writeFileSync(unsigned, JSON.stringify({ ...report, signature: null }))
    const otherKey = { REPORT_SIGNING_KEY: keyFile('other.pem') }
    const ended = await Promise.all([
      runCommand(['reconcile', '--verify', altered]),
      runCommand(['reconcile', '--verify', json], otherKey),
      runCommand(['reconcile', '--verify', unsigned]),
    ])
    expect(ended.map(({ code }) => code)).toEqual([EXIT.difference, EXIT.difference, EXIT.difference])
    expect(ended.map(({ stdout }) => stdout)).toEqual([
      'ALTERED: the report is not what was signed.\n',
      expect.stringMatching(/^Signed, but by another key than REPORT_SIGNING_KEY: /),
      'NOT SIGNED: nobody vouches for this report.\n',
    ])
  })

  test.for([
    { args: ['--place', 'mars'], says: /^CONFIG: --place is mars\n {2}Name some of raw, unified, dpr-raw, / },
    { args: ['--since', 'yesterday'], says: /^CONFIG: --since is neither a position nor a time\n/ },
    { args: ['--verify', '/dev/null'], says: /^CONFIG: \/dev\/null is not a report of incidents reconcile\n/ },
  ])('$args is refused with 3', async ({ args, says }) => {
    const { code, stdout, stderr } = await reconcile(...args)
    expect({ code, stdout }).toEqual({ code: EXIT.configuration, stdout: '' })
    expect(stderr).toMatch(says)
  })

  test('ends with 5 when a place has not passed the fence in time: it is not judged by what it lacks', async () => {
    running.signal('SIGSTOP')
    try {
      await database.query('UPDATE report SET modified_at = modified_at')
      const { code, stdout, stderr } = await reconcile('--timeout', '1')
      expect({ code, stdout }).toEqual({ code: EXIT.target, stdout: '' })
      expect(stderr).toMatch(/^SINK: \S+ has not passed [0-9A-F/]+ within 1 s, so nothing can be said of it\n/m)
    } finally {
      running.signal('SIGCONT')
    }
  })
})
