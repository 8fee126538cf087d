/**
 * S3 as a process of this machine: moto from PyPI, which honours `If-None-Match: *`. It keeps everything in memory.
 * `npm test` leaves its tests out, aloud, where Python is missing, and fails there when CI is set.
 */
import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { steadyPort } from './ports.ts'

const run = promisify(execFile)

const MOTO = 'moto[s3,server]==5.2.5'
const START_MS = 60_000

export interface S3Server {
  readonly endpoint: string
  /** The SDK's own settings for a process that is to find it. */
  readonly environment: Readonly<Record<string, string>>
  client(): S3Client
  /** A bucket with a name that DPR can read. */
  bucket(): Promise<string>
  /** As it was, without what it held. */
  stop(): Promise<void>
  /** Answers nothing, and goes on where it was. */
  pause(): void
  resume(): void
}

/** Null when this machine has no Python with pip. */
export async function startS3(): Promise<S3Server | null> {
  const home = await motoHome()
  if (home === null) return null
  const port = await steadyPort()
  const child = spawn('python3', ['-c', SERVER, String(port)], {
    env: { PATH: process.env['PATH'] ?? '', PYTHONPATH: home, HOME: homedir() },
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)))
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const endpoint = `http://127.0.0.1:${port}`
  const end = performance.now() + START_MS
  while (
    !(await fetch(`${endpoint}/moto-api/`).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null || performance.now() > end) {
      child.kill('SIGKILL')
      throw new Error(`moto did not start:\n${said}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const environment = {
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_REGION: 'eu-west-2',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  }
  Object.assign(process.env, environment)
  const client = (): S3Client => new S3Client({ forcePathStyle: true })
  return {
    endpoint,
    environment,
    client,
    bucket: async () => {
      const name = `dpr-raw-${letters()}`
      const opened = client()
      await opened.send(
        new CreateBucketCommand({ Bucket: name, CreateBucketConfiguration: { LocationConstraint: 'eu-west-2' } }),
      )
      opened.destroy()
      return name
    },
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    stop: async () => {
      child.kill('SIGKILL')
      await gone
    },
  }
}

/** Ends with its standard input, so it does not outlive this process, however that ends. */
const SERVER = `
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
from moto.server import main
main(['-H', '127.0.0.1', '-p', sys.argv[1]])
`

function letters(): string {
  return Array.from({ length: 12 }, () => String.fromCharCode(97 + Math.floor(Math.random() * 26))).join('')
}

/** The folder with the packages, made once in the user's cache; what is half done is never seen. */
async function motoHome(): Promise<string | null> {
  const { stdout } = await run('python3', ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']).catch(() => ({
    stdout: '',
  }))
  const pip =
    stdout !== '' &&
    (await run('python3', ['-m', 'pip', '--version']).then(
      () => true,
      () => false,
    ))
  if (!pip) {
    const words = 'The tests that need S3 are left out: python3 -m pip cannot be run. Install Python 3 with pip.'
    if (process.env['CI'] !== undefined) throw new Error(words)
    console.warn(words)
    return null
  }
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'incidents')
  const target = join(cache, `moto-5.2.5-python-${stdout.trim()}`)
  if (existsSync(target)) return target
  await mkdir(cache, { recursive: true })
  const work = await mkdtemp(join(cache, '.new-'))
  try {
    await run('python3', ['-m', 'pip', 'install', '--quiet', '--target', work, MOTO])
    await rename(work, target).catch((error: unknown) => {
      if (!existsSync(target)) throw error // another run was first
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return target
}
