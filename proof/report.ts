/**
 * The report of a reconciliation, to be kept: JSON, and the same as a page. The JSON carries an Ed25519 signature over
 * its own canonical text; the page names the digest of that text.
 */
import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PipelineError } from '../core/error.ts'
import type { Reconciliation } from './reconcile.ts'
import { reportPage } from './report-page.ts'

export interface ReportOptions {
  readonly namespace: string
  /** An Ed25519 private key as PEM; null for a report that nobody has signed. */
  readonly key: string | null
}

export interface Signature {
  readonly algorithm: 'Ed25519'
  /** SHA-256 of the public key (SubjectPublicKeyInfo), in hexadecimal. */
  readonly keyFingerprint: string
  /** SubjectPublicKeyInfo in base64. Whose it is the fingerprint must say, from another source. */
  readonly publicKey: string
  readonly value: string
}

export interface Report {
  readonly format: 'incidents-reconciliation-1'
  readonly writtenAt: string
  readonly namespace: string
  readonly result: Reconciliation
}

export interface SignedReport {
  readonly report: Report
  /** SHA-256 of the report's text, in hexadecimal. */
  readonly digest: string
  /** Null: nobody vouches for the report. */
  readonly signature: Signature | null
}

/** Writes `reconcile-<lsn>.json` and `.html`; resolves to their paths. CONFIG when the key is not Ed25519. */
export async function writeReport(
  directory: string,
  result: Reconciliation,
  { namespace, key }: ReportOptions,
): Promise<readonly string[]> {
  const writtenAt = new Date().toISOString()
  const signed = signReport({ format: 'incidents-reconciliation-1', writtenAt, namespace, result }, key)
  const name = `reconcile-${result.lsn.replace('/', '-')}`
  const files = [join(directory, `${name}.json`), join(directory, `${name}.html`)] as const
  await mkdir(directory, { recursive: true })
  await writeFile(files[0], `${JSON.stringify(signed, null, 2)}\n`)
  await writeFile(files[1], reportPage(signed))
  return files
}

export function signReport(report: Report, key: string | null): SignedReport {
  const text = Buffer.from(JSON.stringify(report))
  const digest = createHash('sha256').update(text).digest('hex')
  if (key === null) return { report, digest, signature: null }
  const secret = privateKey(key)
  const spki = createPublicKey(secret).export({ type: 'spki', format: 'der' })
  return {
    report,
    digest,
    signature: {
      algorithm: 'Ed25519',
      keyFingerprint: fingerprint(spki),
      publicKey: spki.toString('base64'),
      value: sign(null, text, secret).toString('base64'),
    },
  }
}

export interface Verified {
  /** Whether digest and signature fit the report. */
  readonly valid: boolean
  readonly reason: 'signed' | 'unsigned' | 'altered' | 'other-key'
  readonly keyFingerprint: string | null
  readonly lsn: string
  readonly differing: number
}

/**
 * Checks a report. With `expectedKey`, a PEM of either half of the key, only its signature counts; without one the
 * fingerprint has to be compared with what its owner says. CONFIG when the file is no report.
 */
export async function verifyReport(path: string, expectedKey: string | null): Promise<Verified> {
  const { report, digest, signature } = await readReport(path)
  const text = Buffer.from(JSON.stringify(report))
  const { lsn, differing } = report.result
  const keyFingerprint = signature?.keyFingerprint ?? null
  const verdict = (reason: Verified['reason']): Verified => ({
    valid: reason === 'signed',
    reason,
    keyFingerprint,
    lsn,
    differing,
  })
  if (createHash('sha256').update(text).digest('hex') !== digest) return verdict('altered')
  if (signature === null) return verdict('unsigned')
  const spki = Buffer.from(signature.publicKey, 'base64')
  if (fingerprint(spki) !== signature.keyFingerprint) return verdict('altered')
  if (expectedKey !== null && !spki.equals(publicHalf(expectedKey))) return verdict('other-key')
  return verdict(signatureFits(spki, text, signature.value) ? 'signed' : 'altered')
}

function signatureFits(spki: Buffer, text: Buffer, value: string): boolean {
  try {
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    return key.asymmetricKeyType === 'ed25519' && verify(null, text, key, Buffer.from(value, 'base64'))
  } catch {
    return false
  }
}

async function readReport(path: string): Promise<SignedReport> {
  try {
    const found = JSON.parse(await readFile(path, 'utf8')) as Partial<SignedReport>
    if (found.report?.format === 'incidents-reconciliation-1') return found as SignedReport
  } catch (cause) {
    throw noReport(path, cause)
  }
  throw noReport(path)
}

function noReport(path: string, cause?: unknown): PipelineError {
  return new PipelineError(
    'CONFIG',
    `${path} is not a report of incidents reconcile`,
    'Name the .json file that `incidents reconcile --report` wrote.',
    { cause },
  )
}

function privateKey(pem: string): KeyObject {
  return ed25519(() => createPrivateKey(pem))
}

function publicHalf(pem: string): Buffer {
  return ed25519(() => createPublicKey(pem)).export({ type: 'spki', format: 'der' })
}

function ed25519(make: () => KeyObject): KeyObject {
  let key: KeyObject
  try {
    key = make()
  } catch {
    throw notEd25519() // what the library says could quote the file
  }
  if (key.asymmetricKeyType !== 'ed25519') throw notEd25519()
  return key
}

function notEd25519(): PipelineError {
  return new PipelineError(
    'CONFIG',
    'REPORT_SIGNING_KEY names a file that holds no Ed25519 key as PEM',
    'Make one with `openssl genpkey -algorithm ed25519 -out key.pem`.',
  )
}

function fingerprint(spki: Buffer): string {
  return createHash('sha256').update(spki).digest('hex')
}
