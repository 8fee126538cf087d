import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { OPTIONS } from '../../config.ts'
import { EXIT } from '../../core/error.ts'
import { runCommand } from '../support/command.ts'

const directory = mkdtempSync(join(tmpdir(), 'incidents-usage-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const STATE_DIR = join(directory, 'state')
const DATABASE_URL = 'postgres://reader:hunter2@127.0.0.1:1/incidents'
const PSEUDONYM_KEY = 'a key for tests only'

describe('help', () => {
  test('lists every command, variable and exit code', async () => {
    const { code, stdout, stderr } = await runCommand(['--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = stdout.matchAll(/^ {2}([\w-]+(?: [\w-]+)?)(?: <[\w.]+>)* \[options\]/gm)
    expect([...lines].map(([, name]) => name)).toEqual([
      'demo',
      'run',
      'source init',
      'source adopt',
      'source drop',
      'capture',
      'unify',
      'deliver',
      'serve',
      'console',
      'status',
      'lineage',
      'replay',
      'export',
      'snapshot',
      'pause',
      'resume',
      'repair',
      'migrate',
      'nomis status',
      'reconcile',
      'doctor',
      'contracts check',
      'contracts diff',
      'contracts publish',
      'contracts verify-dpr',
      'dead-letters list',
      'dead-letters show',
      'dead-letters replay',
      'dead-letters skip',
    ])
    for (const [name, option] of Object.entries(OPTIONS))
      expect(stdout).toMatch(new RegExp(`^ {2}${name} .*${option.says.slice(0, 20)}`, 'm'))
    for (const [name, number] of Object.entries(EXIT))
      expect(stdout).toMatch(new RegExp(`^ +${number} {2}${name}$`, 'm'))
  })

  test('of a command lists its options', async () => {
    const { code, stdout } = await runCommand(['demo', '--help'])
    expect(code).toBe(0)
    for (const option of ['--reports <n>', '--rate <n>', '--seed <n>', '--once', '--json'])
      expect(stdout).toContain(option)
  })
})

test('what nobody reads any more ends quietly, as before `| head`', async () => {
  const { stderr, code } = await runCommand(['--help'], {}, { stdout: 'closed' })
  expect({ stderr, code }).toEqual({ stderr: '', code: EXIT.done })
})

describe('what is no command is refused with exit 2, and nothing is done', () => {
  const refused: [args: string[], says: RegExp][] = [
    [[], /^Usage: incidents/],
    [['rin'], /^error: unknown command 'rin'/],
    [['run', '--fast'], /^error: unknown option '--fast'/],
    [['run', 'now'], /^error: too many arguments for 'run'/],
    [['source'], /^Usage: incidents source/],
    [['source', 'destroy'], /^error: unknown command 'destroy'/],
    [['deliver'], /^error: missing required argument 'sink'/],
    [['deliver', 'mars'], /^error: .*'mars' is invalid .*Expected dpr-raw, operational, analytics\./],
    [['demo', '--reports', 'many'], /^error: .*'many' is invalid\. Expected a whole number\./],
  ]
  test.for(refused)('%j', async ([args, says]) => {
    const { code, stdout, stderr } = await runCommand(args, { STATE_DIR })
    expect({ code, stdout }).toEqual({ code: EXIT.usage, stdout: '' })
    expect(stderr).toMatch(says)
  })
})

describe('a configuration that cannot be is refused with exit 3, its variable and the remedy', () => {
  const refused: [args: string[], given: Record<string, string>, says: RegExp][] = [
    [['run'], { LOG_LEVEL: 'loud' }, /^CONFIG: LOG_LEVEL is "loud": .*\n {2}Set LOG_LEVEL\. /],
    [['run'], { PORT: 'eighty' }, /^CONFIG: PORT is "eighty": .*\n {2}Set PORT\. /],
    [['run'], {}, /^CONFIG: DATABASE_URL is not set\n {2}Set DATABASE_URL\. /],
    [['run'], { DATABASE_URL }, /^CONFIG: PSEUDONYM_KEY is not set\n/],
    [
      ['run'],
      { DATABASE_URL, PSEUDONYM_KEY, KAFKA_BROKERS: 'broker:9092' },
      /^CONFIG: KAFKA_BROKERS is set, but run keeps its topics itself\n {2}Unset it, or run capture, /,
    ],
    [['capture'], { DATABASE_URL }, /^CONFIG: KAFKA_BROKERS is not set\n/],
    [['unify'], { PSEUDONYM_KEY }, /^CONFIG: KAFKA_BROKERS is not set\n/],
    [['deliver', 'analytics'], { PSEUDONYM_KEY }, /^CONFIG: KAFKA_BROKERS is not set\n/],
    [['capture'], { DATABASE_URL, KAFKA_BROKERS: 'broker:9092' }, /^CONFIG: SCHEMA_REGISTRY_URL is not set\n/],
    [['capture'], { KAFKA_BROKERS: 'broker' }, /^CONFIG: KAFKA_BROKERS is "broker": expected host:port/],
    [
      ['capture'],
      { KAFKA_BROKERS: 'broker:9092', KAFKA_SASL_USERNAME: 'me' },
      /^CONFIG: KAFKA_SASL_PASSWORD is not set\n/,
    ],
    [['serve'], {}, /^CONFIG: DATABASE_URL is not set\n/],
    [['source', 'init'], {}, /^CONFIG: DATABASE_URL is not set\n/],
    [
      ['source', 'init'],
      { DATABASE_URL: 'postgres://reader:12/hunter2@db/incidents' },
      /^CONFIG: DATABASE_URL is a secret value: expected #, \/, \? and @ in user or password as /,
    ],
    [['run'], { DATABASE_URL, PSEUDONYM_KEY, STATE_DIR: '/dev/null/state' }, /^CONFIG: .*\/dev\/null\/state/],
    [
      ['status'],
      {},
      /^CONFIG: STATE_DIR is .*, which holds no topics: no pipeline has run with it\n {2}Set STATE_DIR /,
    ],
    [['dead-letters', 'list'], {}, /^CONFIG: STATE_DIR is .*, which holds no topics/],
  ]
  test.for(refused)('%j with %j', async ([args, given, says]) => {
    const { code, stdout, stderr } = await runCommand(args, { STATE_DIR, ...given })
    expect({ code, stdout }).toEqual({ code: EXIT.configuration, stdout: '' })
    expect(stderr).toMatch(says)
    expect(stderr).not.toContain('hunter2')
    expect(stderr.trim().split('\n')).toHaveLength(2)
  })
})

describe('brokers that do not answer are a fault of the target: exit 5, with their address', () => {
  test.for([['capture'], ['unify'], ['deliver', 'operational']])('%j', async (args) => {
    const { code, stderr, seconds } = await runCommand(args, {
      STATE_DIR,
      DATABASE_URL,
      PSEUDONYM_KEY,
      KAFKA_BROKERS: '127.0.0.1:1',
      SCHEMA_REGISTRY_URL: 'http://127.0.0.1:2',
    })
    expect(stderr).toMatch(/^BROKER: .*127\.0\.0\.1:1.*\n {2}\S.*$/m)
    expect(code).toBe(EXIT.target)
    expect(seconds).toBeLessThan(60)
  })
})

describe('an API port that is taken', () => {
  test('is a matter of configuration', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => other.once('listening', resolve))
    const { port } = other.address() as { port: number }
    const { code, stderr } = await runCommand(['serve'], { DATABASE_URL, PORT: String(port), LOG_LEVEL: 'error' })
    other.close()
    expect(stderr).toMatch(
      new RegExp(`^CONFIG: the API cannot listen on 127\\.0\\.0\\.1:${port}: EADDRINUSE\n {2}Set PORT`),
    )
    expect(code).toBe(EXIT.configuration)
  })
})
