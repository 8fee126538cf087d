/** The console's pages over a real API, store and published copy. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { onDuckDb } from '../../sinks/duckdb.ts'
import { MARKUP } from '../support/browser.ts'
import { HAPPENED as AT, openWorld, reportIncident, switchToDps, type World } from '../support/console-world.ts'
import type { Page, Visit } from '../support/visit.ts'

let world: World
let editor: Visit
let viewer: Visit
let operator: Visit

const RIGHT_TO_LEFT = 'محمد בן־דוד'

beforeAll(async () => {
  world = await openWorld()
  editor = await world.visit('EDITOR')
  viewer = await world.visit('VIEWER')
  operator = await world.visit('OPERATOR')
  await switchToDps(await world.visit('ADMIN'))
}, 240_000)

afterAll(() => world?.close())

const create = (given: Parameters<typeof reportIncident>[1] = {}): Promise<string> => reportIncident(editor, given)

const idOf = async (reference: string): Promise<string> =>
  (
    await world.database.query<{ id: string }>('SELECT id FROM public.report WHERE report_reference = $1', [reference])
  )[0]!.id

/** People of a report, through the API. */
async function involve(reference: string, person: { firstName: string; lastName: string }): Promise<void> {
  const token = await world.token({ username: 'EDITOR', roles: ['ROLE_MAINTAIN_INCIDENT_REPORTS'] })
  const answer = await fetch(`${world.apiUrl}/incident-reports/${await idOf(reference)}/prisoners-involved`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ prisonerNumber: 'T1234AA', prisonerRole: 'VICTIM', comment: 'burnt', ...person }),
  })
  expect(answer.status).toBe(201)
  await world.settled()
}

describe('searching', () => {
  test('both models look alike, each with where it began', async () => {
    const page = await operator.get('/incidents')
    expect(page.status).toBe(200)
    expect(page.words).toMatch(/\b(DPS) Hidden/)
    expect(page.words).toMatch(/\b(NOMIS) Hidden/)
  })

  test('each filter is asked of the API, and what it does not take is told', async () => {
    const reference = await create({ title: 'Only for the search' })
    await involve(reference, { firstName: 'Fern', lastName: 'Fixture' })
    const found = `/incidents?reference=${reference}&prison=mdi&type=FIRE_1&status=DRAFT&from=2026-01-15&until=2026-01-15&prisoner=t1234aa`
    expect((await editor.get(found)).words).toContain('1 incident As of')
    for (const other of [
      'prison=LEI',
      'type=ASSAULT_5',
      'status=CLOSED',
      'from=2026-01-16',
      'until=2026-01-14',
      'prisoner=T9999ZZ',
    ]) {
      const [name] = other.split('=')
      const query = new URLSearchParams(
        [...new URLSearchParams(found.split('?')[1]).entries()].filter(([key]) => key !== name),
      )
      expect((await editor.get(`/incidents?${query.toString()}&${other}`)).words, other).toContain('Nothing was found')
    }
    const refused = await editor.get('/incidents?reference=abc')
    expect(refused.status).toBe(400)
    expect(refused.words).toContain('There is a problem')
  })

  test('another prison’s incidents are neither found nor opened', async () => {
    expect((await viewer.get('/incidents')).words).not.toMatch(/\b(LEI|PVI|NOU) [A-Z]/)
    const [foreign] = await world.database.query<{ reference: string }>(
      `SELECT report_reference AS reference FROM public.report WHERE location <> 'MDI' LIMIT 1`,
    )
    const page = await viewer.get(`/incidents/${foreign!.reference}`)
    expect(page.status).toBe(404)
    expect(page.words).toContain('There is no such incident')
  })
})

describe('one incident', () => {
  test('is made, amended, closed and reopened, and its timeline says so with before and after', async () => {
    const reference = await create()
    const amended = await editor.send(`/incidents/${reference}/amend`, {
      incidentDateAndTime: AT,
      location: 'MDI',
      title: 'A fire in two bins',
      description: 'It was put out.',
    })
    expect(amended.words).toContain('A fire in two bins')
    for (const [status, said] of [
      ['AWAITING_REVIEW', 'Awaiting review'],
      ['CLOSED', 'Closed'],
      ['REOPENED', 'Reopened'],
    ] as const) {
      const page = await editor.send(`/incidents/${reference}/status`, { status, comment: 'As it should be' })
      expect(page.words).toContain(`Status ${said}`)
      if (status !== 'CLOSED') continue
      expect(page.words).toContain('Change its status first to amend it')
    }
    await world.settled()
    const page = await editor.get(`/incidents/${reference}`)
    expect(page.words).toMatch(/title A fire in a bin A fire in two bins/)
    expect(page.words).toMatch(/status CLOSED REOPENED/)
    expect(page.words).toMatch(/by EDITOR DPS, transaction \d+, WAL [\dA-F]+\/[\dA-F]+/)
    expect(page.words).toMatch(
      /topic incidents\.raw, partition \d+, offset \d+; key \S+; stored in prisons\.incidents_report/,
    )
    expect(page.words).toContain(`incidents lineage ${reference}`)
    const id = await idOf(reference)
    expect((await editor.get(`/incidents/${id}`)).words).toContain(`Incident ${reference}`)
  })

  test('an incident that is made here is in DuckDB, without a word of its free text', async () => {
    const reference = await create({ title: 'Seen end to end' })
    await world.settled()
    const sql = `SELECT type, status, location FROM current_report WHERE reference = '${reference}'`
    const found = await onDuckDb(world.analytics, { access_mode: 'READ_ONLY' }, async (connection) =>
      (await connection.runAndReadAll(sql)).getRows(),
    )
    expect(found).toEqual([['FIRE_1', 'DRAFT', 'MDI']])
    const page = await operator.send('/analyse', {
      sql: `SELECT reference, status FROM current_report WHERE reference = '${reference}'`,
    })
    expect(page.words).toContain(`${reference} DRAFT`)
  })

  test('what may not be made says why, and what was typed is still there', async () => {
    const page = await editor.send('/incidents/new', {
      type: 'FIRE_1',
      location: 'LEI',
      incidentDateAndTime: AT,
      title: 'A fire elsewhere',
      description: 'Kept words',
    })
    expect(page.status).toBe(400)
    expect(page.words).toContain('This prison still reports incidents of this type in NOMIS')
    expect(page.text).toContain('Kept words')
  })

  test('two people amend one incident: the second sees what changed, and loses nothing', async () => {
    const reference = await create()
    const other = await world.visit('OTHER_EDITOR')
    const [first, second] = await Promise.all([editor, other].map((each) => each.get(`/incidents/${reference}/amend`)))
    const typed = { incidentDateAndTime: AT, location: 'MDI', description: 'It was put out.' }
    const path = `/incidents/${reference}/amend`
    expect((await editor.send(path, { ...typed, title: 'The first was faster' }, first!)).status).toBe(200)
    const conflict = await other.send(path, { ...typed, title: 'The second was slower' }, second!)
    expect(conflict.status).toBe(409)
    expect(conflict.words).toContain('EDITOR changed it on')
    expect(conflict.words).toContain('A fire in a bin The first was faster The second was slower')
    expect(conflict.text).toContain('value="The second was slower"')
    const again = await other.send(path, { ...typed, title: 'The second was slower' }, conflict)
    expect(again.words).toContain('The second was slower')
  })

  test('a record of NOMIS is read-only and says until when; past its cut-off only an administrator amends it', async () => {
    const [nomis] = await world.database.query<{ reference: string; prison: string }>(
      `SELECT incident_case_id::text AS reference, agy_loc_id AS prison FROM nomis.incident_cases c
        WHERE incident_case_id < 10000000 AND agy_loc_id <> 'MDI'
          AND NOT EXISTS (SELECT 1 FROM public.report WHERE report_reference = c.incident_case_id::text) LIMIT 1`,
    )
    const path = `/incidents/${nomis!.reference}`
    const admin = await world.visit('ADMIN')
    expect((await admin.get(path)).words).toContain('It is read-only here')
    await admin.send('/rollout', {
      prison: nomis!.prison,
      type: '*ALL*',
      dpsFrom: '2024-01-01',
      cutOffMonths: '6',
      reason: 'Past its cut-off',
    })
    expect((await editor.get(path)).words).toContain('Only administrators change it now')
    expect((await admin.get(path)).words).toMatch(/Amend\b/)
    expect((await viewer.get(`${path}/amend`)).status).toBe(403)
  })
})

describe('hidden from operators', () => {
  let reference: string

  beforeAll(async () => {
    reference = await create({ title: 'Secret title', description: 'Secret words' })
    await involve(reference, { firstName: RIGHT_TO_LEFT, lastName: 'Hidden-Name' })
  })

  const SECRETS = ['Secret title', 'Secret words', RIGHT_TO_LEFT, 'Hidden-Name', 'T1234AA', 'burnt', '>EDITOR<']

  test('names, numbers, usernames and free text are not in the page at all, also not in its timeline', async () => {
    const page = await operator.get(`/incidents/${reference}`)
    for (const secret of SECRETS) expect(page.text).not.toContain(secret)
    expect(page.words).toContain('Fire')
    const open = await editor.get(`/incidents/${reference}`)
    for (const secret of SECRETS) expect(open.text).toContain(secret)
  })

  test('one is revealed for a reason, which the audit keeps with who it was', async () => {
    const path = `/incidents/${reference}/reveal`
    const field = 'prisonersInvolved.0.firstName'
    const without = await operator.send(path, { field, reason: '' }, `${path}?field=${field}`)
    expect(without.status).toBe(400)
    expect(without.text).not.toContain(RIGHT_TO_LEFT)
    const page = await operator.send(path, { field, reason: 'Ticket 4711 – naïve' }, `${path}?field=${field}`)
    expect(page.words).toContain(RIGHT_TO_LEFT)
    expect(page.text).not.toContain('Hidden-Name')
    const auditor = await world.visit('AUDITOR')
    const audit = await auditor.get(`/access?who=OPERATOR&subjectId=${reference}`)
    expect(audit.words).toContain(`Reveals ${field}: Ticket 4711 – naïve`)
    const exported = await auditor.get(`/access.csv?who=OPERATOR&subjectId=${reference}`)
    expect(exported.headers.get('content-type')).toContain('text/csv')
    expect(exported.text).toContain('OPERATOR')
    expect((await auditor.get('/access?who=AUDITOR')).words).toContain('Exported as CSV')
  })

  test('a value of the timeline is revealed the same way', async () => {
    const shown = await operator.get(`/incidents/${reference}`)
    const [, field] = /reveal\?field=(amendments\.\d+\.after\.title)/.exec(shown.text) ?? []
    const path = `/incidents/${reference}/reveal`
    const page = await operator.send(path, { field: field!, reason: 'Ticket 4712' }, `${path}?field=${field}`)
    expect(page.words).toContain('Secret title')
  })

  test.for(['__proto__', 'constructor.name', 'prisonersInvolved.9.firstName', 'questions', '', '../x'])(
    'there is nothing to reveal at %s',
    async (field) => {
      const path = `/incidents/${reference}/reveal`
      const page = await operator.send(path, { field, reason: 'Ticket 4713' }, path)
      expect(page.status).toBe(404)
    },
  )
})

test('access is searched and taken away by the days of London, and a day that there is not is told', async () => {
  await world.database.query(
    `INSERT INTO prisons.incidents_audit (what, "when", who, client_id, service, operation_id, subject_id, subject_type,
       correlation_id, details)
     SELECT 'VIEW_INCIDENT_REPORT', at::timestamptz, 'IN_SUMMER', 'test', 'test', 'o', 'at ' || at, 'TEST', 'c', '{}'
       FROM unnest(ARRAY['2025-06-30T22:59:59Z', '2025-06-30T23:00:00Z', '2025-07-01T22:59:59Z', '2025-07-01T23:00:00Z']) at`,
  )
  const auditor = await world.visit('AUDITOR')
  for (const [days, records] of [
    ['from=2025-07-01&until=2025-07-01', 2],
    ['from=2025-07-01', 3],
    ['until=2025-07-01', 3],
    ['until=2025-06-29', 0],
  ] as const) {
    expect((await auditor.get(`/access?who=IN_SUMMER&${days}`)).words, days).toContain(`${records} record`)
    const { text } = await auditor.get(`/access.csv?who=IN_SUMMER&${days}`)
    expect(text.split('\r\n').length - 2, days).toBe(records)
  }
  const refused = await auditor.get('/access?from=2025-02-30')
  expect(refused.status).toBe(400)
  expect(refused.words).toContain('from must be a date like 2024-07-01')
})

describe('what texts and sessions do', () => {
  test('markup in any text is text', async () => {
    const reference = await create({ title: MARKUP, description: MARKUP })
    for (const path of [
      `/incidents/${reference}`,
      `/incidents/${reference}/amend`,
      `/incidents?reference=${reference}`,
    ]) {
      const { text } = await editor.get(path)
      expect(text).not.toContain('<script>window')
      expect(text).not.toContain('<b id=broken>')
      expect(text).not.toContain('<img src=x')
    }
  })

  test('a text of 100 kB comes back as it was', async () => {
    const description = 'é🚨 '.repeat(25_000).slice(0, 99_988)
    const reference = await create({ description })
    const page = await editor.get(`/incidents/${reference}/amend`)
    expect(page.text).toContain(description.trim())
  })

  test('3,000 answers are shown within seconds, their changes a hundred at a time', async () => {
    const reference = await create()
    await world.database.query(
      `WITH asked AS (
         INSERT INTO public.question (report_id, sequence, code, question, label)
         SELECT $1, n, 'Q' || n, 'Question ' || n, 'Question ' || n FROM generate_series(1, 1000) n RETURNING id, sequence)
       INSERT INTO public.response (question_id, sequence, response, label, code, recorded_at, recorded_by)
       SELECT asked.id, m, 'Answer ' || asked.sequence || '/' || m, 'Answer', 'R' || m, now(), 'EDITOR'
         FROM asked, generate_series(1, 3) m`,
      [await idOf(reference)],
    )
    await world.settled()
    const began = performance.now()
    const page = await editor.get(`/incidents/${reference}`)
    expect(performance.now() - began).toBeLessThan(10_000)
    expect(page.words).toContain('Answer 1000/3')
    expect(page.words).toMatch(/Page 1 of \d\d\./)
    expect((await editor.get(`/incidents/${reference}?changes=2`)).words).toMatch(/Page 2 of \d\d\./)
  })

  test('a session that ends in the middle of a form loses nothing that was typed', async () => {
    const reference = await create()
    const visit = await world.visit('EDITOR')
    const page = await visit.get(`/incidents/${reference}/amend`)
    visit.expire()
    const typed = {
      incidentDateAndTime: AT,
      location: 'MDI',
      title: 'Typed before the end',
      description: 'Long\nwords',
    }
    const ended = await visit.send(`/incidents/${reference}/amend`, typed, page)
    expect(ended.status).toBe(401)
    const kept: Page = await visit.send('/sign-in', { username: 'EDITOR' })
    expect(kept.url).toBe('/continue')
    const saved = await visit.send(`/incidents/${reference}/amend`, {}, kept)
    expect(saved.words).toContain('Typed before the end')
  })
})

describe('analysing', () => {
  test('a ready question fills the field, its answer is a table, and what was run is recorded', async () => {
    expect((await operator.get('/analyse?question=0')).text).toContain(
      'SELECT count(*) AS incidents FROM current_report',
    )
    const page = await operator.send('/analyse', {
      sql: 'SELECT type, count(*) AS n FROM current_report GROUP BY 1 ORDER BY 1',
    })
    expect(page.status).toBe(200)
    expect(page.words).toMatch(/Published \d+ \w+ \d{4}/)
    expect(page.words).toContain('5 or fewer')
    expect(page.text).toContain('<svg class="console-bars"')
    const auditor = await world.visit('AUDITOR')
    expect((await auditor.get('/access?what=RUN_ANALYSIS')).words).toMatch(/OPERATOR Run analysis sql:[\da-f]{64}/)
  })

  test('CSV and parquet are taken away, and recorded as such', async () => {
    const sql = `SELECT '=cmd|x' AS a, 'b,"c' AS b FROM current_report LIMIT 1`
    const taken = await operator.send('/analyse', { sql, format: 'csv' })
    expect(taken.text).toBe(`a,b\r\n'=cmd|x,"b,""c"\r\n`)
    const file = await operator.send('/analyse', { sql, format: 'parquet' })
    expect(file.text.slice(0, 4)).toBe('PAR1')
    const auditor = await world.visit('AUDITOR')
    expect((await auditor.get('/access?what=DOWNLOAD_ANALYSIS')).words).toContain('2 records')
  })

  test('what is refused says why and keeps what was typed', async () => {
    const page = await operator.send('/analyse', { sql: `SELECT * FROM read_text('/etc/passwd')` })
    expect(page.status).toBe(400)
    expect(page.words).toContain('The function read_text is not available here.')
    expect(page.text).toContain('read_text(')
  })

  test('readers of some prisons get charts of their own, without small numbers, and no SQL', async () => {
    const page = await viewer.get('/analyse')
    expect(page.words).toContain('SQL is for readers of all prisons')
    expect(page.words).toContain('Incidents by month')
    expect(page.words).not.toMatch(/\b(LEI|PVI)\b/)
    expect((await viewer.send('/analyse', { sql: 'SELECT 1' }, '/incidents')).status).not.toBe(200)
  })
})

describe('rollout', () => {
  test('shows what is decided, what remains in NOMIS, and what keeps it', async () => {
    const { words } = await operator.get('/rollout')
    expect(words).toMatch(/MDI Every type DPS 2025-01-01 2026-01-01/)
    expect(words).toContain('No migration has run.')
    expect(words).toContain('What remains in NOMIS')
    expect(words).not.toContain('Switch a prison')
  })

  test('a switch that cannot be says why, and nothing typed is lost', async () => {
    const admin = await world.visit('ADMIN')
    const given = { prison: 'LEI', type: 'FIRE_1', dpsFrom: '2027-02-30', cutOffMonths: '12', reason: 'Leeds begins' }
    const page = await admin.send('/rollout', given)
    expect(page.status).toBe(400)
    expect(page.text).toContain('value="2027-02-30"')
    expect((await admin.send('/rollout', { ...given, dpsFrom: '2027-02-01', cutOffMonths: '3' })).status).toBe(400)
    expect((await operator.send('/rollout', given, '/analyse')).status).toBe(403)
  })
})

test.for(['/incidents', '/incidents/10000001', '/incidents/new', '/rollout', '/analyse', '/access', '/access.csv'])(
  '%s is for those who have its role',
  async (path) => {
    const auditor = await world.visit(path.startsWith('/access') ? 'EDITOR' : 'AUDITOR')
    expect((await auditor.get(path)).status).toBe(403)
  },
)
