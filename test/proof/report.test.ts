import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Reconciliation } from '../../proof/reconcile.ts'
import { verifyReport, writeReport, type SignedReport } from '../../proof/report.ts'

const RESULT: Reconciliation = {
  differing: 1,
  incomplete: 0,
  unsettled: 0,
  unreadable: [],
  lsn: '16/B374D848',
  rows: 10,
  copies: 0,
  seconds: 1,
  places: [
    {
      place: 'operational',
      entity: 'Report',
      rows: 10,
      differing: 1,
      unsettled: 0,
      keys: [
        {
          key: '<b>not markup</b>',
          why: 'different',
          columns: ['title'],
          source: { table: 'public.report', key: '1', position: '0001/0000000000000001/00000001' },
          place: null,
        },
      ],
    },
  ],
}

const pemOf = (type: 'ed25519' | 'x25519'): string =>
  (type === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('x25519')).privateKey
    .export({ type: 'pkcs8', format: 'pem' })
    .toString()

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'incidents-report-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

async function written(key: string | null): Promise<{ json: string; html: string }> {
  const [json, html] = await writeReport(directory, RESULT, { namespace: 'incidents', key })
  return { json: json!, html: html! }
}

describe('the report of a reconciliation', () => {
  test('is named by its LSN and verifies with the key that signed it', async () => {
    const key = pemOf('ed25519')
    const { json } = await written(key)
    expect(json.endsWith('reconcile-16-B374D848.json')).toBe(true)
    expect(await verifyReport(json, key)).toMatchObject({ valid: true, reason: 'signed', differing: 1 })
    expect(await verifyReport(json, null)).toMatchObject({ valid: true })
  })

  test('verifies no more once a single character of it has changed', async () => {
    const { json } = await written(pemOf('ed25519'))
    const report = JSON.parse(readFileSync(json, 'utf8')) as SignedReport
    const forged = { ...report, report: { ...report.report, result: { ...RESULT, differing: 0 } } }
    writeFileSync(json, JSON.stringify(forged))
    expect(await verifyReport(json, null)).toMatchObject({ valid: false, reason: 'altered' })
  })

  test('is not taken for ours when somebody else has signed it', async () => {
    const { json } = await written(pemOf('ed25519'))
    expect(await verifyReport(json, pemOf('ed25519'))).toMatchObject({ valid: false, reason: 'other-key' })
  })

  test('says loudly, in both files, that nobody has signed it', async () => {
    const { json, html } = await written(null)
    expect(await verifyReport(json, null)).toMatchObject({ valid: false, reason: 'unsigned' })
    expect(readFileSync(html, 'utf8')).toContain('NOT SIGNED')
  })

  test('as a page runs nothing, loads nothing and shows keys as text', async () => {
    const { html } = await written(pemOf('ed25519'))
    const page = readFileSync(html, 'utf8')
    expect(page).not.toMatch(/<script|<link|<img|src=|href=|<b>/)
    expect(page).toContain('&lt;b&gt;not markup&lt;/b&gt;')
    expect(page).toMatch(/<html lang="en">.*<caption>.*<th scope="col">/s)
  })

  test('refuses a key of another kind, and a file that is no report', async () => {
    await expect(written(pemOf('x25519'))).rejects.toMatchObject({ code: 'CONFIG' })
    writeFileSync(join(directory, 'other.json'), '{}')
    await expect(verifyReport(join(directory, 'other.json'), null)).rejects.toMatchObject({ code: 'CONFIG' })
  })
})
