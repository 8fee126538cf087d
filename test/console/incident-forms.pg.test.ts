/** The forms of one incident over a real API and store: people, answers, type, deletion, and two people at once. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWorld, reportIncident, switchToDps, type World } from '../support/console-world.ts'
import type { Page, Visit } from '../support/visit.ts'

let world: World
let editor: Visit
let other: Visit
let admin: Visit

beforeAll(async () => {
  world = await openWorld({ reports: 0 })
  editor = await world.visit('EDITOR')
  other = await world.visit('OTHER_EDITOR')
  admin = await world.visit('ADMIN')
  await switchToDps(admin)
}, 240_000)

afterAll(() => world?.close())

const PRISONER = {
  prisonerNumber: 'T1234AA',
  firstName: 'Fern',
  lastName: 'Fixture',
  prisonerRole: 'VICTIM',
  outcome: '',
  comment: 'burnt',
}
const STAFF = {
  staffUsername: '',
  firstName: 'Hazel',
  lastName: 'Sampleton',
  staffRole: 'PRESENT_AT_SCENE',
  comment: '',
}
const ANSWERED = ['answer-code', 'response', 'responseDate', 'more'] as const

/** A form's answers, each a place of it. */
function answers(...given: readonly Partial<Record<(typeof ANSWERED)[number], string>>[]): Record<string, string[]> {
  return Object.fromEntries(ANSWERED.map((name) => [name, given.map((each) => each[name] ?? '')]))
}

test('without any incident the search says that nothing was found, and the other pages that there is nothing', async () => {
  expect((await editor.get('/incidents')).words).toContain('0 incidents')
  expect((await editor.get('/incidents')).words).toContain('Nothing was found')
  expect((await editor.get('/incidents/10000001')).status).toBe(404)
  const operator = await world.visit('OPERATOR')
  expect((await operator.get('/rollout')).words).toContain('No record of NOMIS is held here')
  const asked = await operator.send('/analyse', { sql: 'SELECT type, count(*) AS n FROM current_report GROUP BY 1' })
  expect(asked.words).toContain('0 rows')
})

describe('people of an incident', () => {
  test('are added, changed and removed, and so is what is added to its description', async () => {
    const reference = await reportIncident(editor)
    const path = `/incidents/${reference}/people`
    expect((await editor.get(path)).words).toContain('None are recorded')
    const added = await editor.send(`${path}/prisoners-involved/new`, PRISONER)
    expect(added.words).toMatch(/T1234AA Fern Fixture Victim/)
    await editor.send(`${path}/staff-involved/new`, STAFF)
    const completed = await editor.send(`${path}/description-addendums/new`, {
      text: 'It smouldered on.',
      firstName: 'Eddie',
      lastName: 'Editor',
    })
    expect(completed.words).toContain('It smouldered on.')
    const [, link] = /href="([^"]*prisoners-involved\/\d+)"/.exec((await editor.get(path)).text)!
    const changed = await editor.send(link!, { ...PRISONER, prisonerRole: 'FIGHTER' })
    expect(changed.words).toMatch(/T1234AA Fern Fixture Fighter/)
    const removed = await editor.send(link!, { ...PRISONER, act: 'remove' })
    expect(removed.words).toMatch(/Prisoners involved None are recorded/)
    expect(removed.words).toContain('Hazel')
  })

  test('what is wrong with one is told, and nothing typed is lost', async () => {
    const reference = await reportIncident(editor)
    const page = await editor.send(`/incidents/${reference}/people/prisoners-involved/new`, {
      ...PRISONER,
      prisonerNumber: '4711',
    })
    expect(page.status).toBe(400)
    expect(page.words).toContain('prisonerNumber must be like A1234BC')
    expect(page.text).toContain('value="4711"')
    expect(page.text).toContain('burnt')
  })

  test('two change them at once: the second sees what the first did, and may go on', async () => {
    const reference = await reportIncident(editor)
    const path = `/incidents/${reference}/people/prisoners-involved/new`
    const [first, second] = await Promise.all([editor.get(path), other.get(path)])
    await editor.send(path, PRISONER, first)
    const conflict = await other.send(path, { ...PRISONER, prisonerNumber: 'T9876ZZ', firstName: 'Rowan' }, second)
    expect(conflict.status).toBe(409)
    expect(conflict.words).toContain('EDITOR changed it on')
    expect(conflict.words).toMatch(/PrisonerInvolvement created .* prisonerNumber T1234AA/)
    expect(conflict.text).toContain('value="T9876ZZ"')
    const saved = await other.send(path, { ...PRISONER, prisonerNumber: 'T9876ZZ', firstName: 'Rowan' }, conflict)
    expect(saved.words).toMatch(/T1234AA Fern .*T9876ZZ Rowan/)
  })

  test('who removes the one that somebody else is changing is told to that one, with what was typed', async () => {
    const reference = await reportIncident(editor)
    await editor.send(`/incidents/${reference}/people/prisoners-involved/new`, PRISONER)
    const [, link] = /href="([^"]*prisoners-involved\/\d+)"/.exec(
      (await editor.get(`/incidents/${reference}/people`)).text,
    )!
    const opened = await other.get(link!)
    await editor.send(link!, { ...PRISONER, act: 'remove' })
    await world.settled()
    const page = await other.send(link!, { ...PRISONER, comment: 'burnt badly' }, opened)
    expect(page.status).toBe(409)
    expect(page.words).toContain('has been removed by somebody else')
    expect(page.text).toContain('burnt badly')
  })
})

describe('answers of an incident', () => {
  test('are given, given anew and taken away, question by question; what was answered before is in the timeline', async () => {
    const reference = await reportIncident(editor)
    const form = `/incidents/${reference}/answers/question`
    const given = { code: 'WHERE', question: 'Where was it?', additionalInformation: '' }
    const first = answers({ response: 'In a bin', responseDate: '2026-01-15', more: 'plastic' }, { response: '' })
    expect((await editor.send(form, { ...given, ...first })).words).toMatch(
      /Where was it\? In a bin 2026-01-15 plastic/,
    )
    const page = await editor.get(`${form}?code=WHERE`)
    const second = answers({ 'answer-code': 'WHERE-1', response: 'In two bins' }, { response: 'By the door' })
    const again = await editor.send(form, { ...given, ...second }, page)
    expect(again.words).toMatch(/Where was it\? In two bins .*By the door/)
    await world.settled()
    expect((await editor.get(`/incidents/${reference}`)).words).toMatch(/Response removed.*In a bin/)
    const gone = await editor.send(form, { ...given, ...second, act: 'remove' }, await editor.get(`${form}?code=WHERE`))
    expect(gone.words).toMatch(/Questions and answers None are answered/)
  })

  test('a session that ends over one keeps every answer that was typed', async () => {
    const reference = await reportIncident(editor)
    const visit = await world.visit('EDITOR')
    const form = `/incidents/${reference}/answers/question`
    const page = await visit.get(form)
    visit.expire()
    const typed = { code: 'WHO', question: 'Who?', ...answers({ response: 'One\nand all' }, { response: 'Two' }) }
    expect((await visit.send(form, typed, page)).status).toBe(401)
    const kept: Page = await visit.send('/sign-in', { username: 'EDITOR' })
    expect(kept.url).toBe('/continue')
    const saved = await visit.send(form, {}, kept)
    expect(saved.words).toMatch(/Who\? One and all .*Two/)
  })
})

test('with another type the answers go to the history and the prisoners go, as the form says before', async () => {
  const reference = await reportIncident(editor)
  await editor.send(`/incidents/${reference}/people/prisoners-involved/new`, PRISONER)
  await editor.send(`/incidents/${reference}/answers/question`, {
    code: 'WHERE',
    question: 'Where was it?',
    ...answers({ response: 'In a bin' }),
  })
  const path = `/incidents/${reference}/type`
  const before = await editor.get(path)
  expect(before.words).toContain('1 question and what was answered go to its history')
  expect(before.words).toContain('1 prisoner involved will be removed')
  const after = await editor.send(path, { newType: 'MISCELLANEOUS_1' }, before)
  expect(after.words).toMatch(/the type was Fire 1.*In a bin/)
  expect(after.words).toMatch(/Prisoners involved None are recorded/)
})

test('what was made in error is deleted with a reason, by those alone who may, and is gone from the pages', async () => {
  const reference = await reportIncident(editor)
  const path = `/incidents/${reference}/delete`
  expect((await editor.get(path)).status).toBe(403)
  expect((await admin.send(path, { reason: '' })).status).toBe(400)
  expect((await admin.send(path, { reason: 'typed into the wrong system' })).words).toContain('has been deleted')
  await world.settled()
  expect((await editor.get(`/incidents/${reference}`)).status).toBe(404)
  const auditor = await world.visit('AUDITOR')
  expect((await auditor.get('/access?what=DELETE_INCIDENT_REPORT')).words).toContain('typed into the wrong system')
})

test('two change a status at once: the second sees what it has become', async () => {
  const reference = await reportIncident(editor)
  const path = `/incidents/${reference}/status`
  const [first, second] = await Promise.all([editor.get(path), other.get(path)])
  await editor.send(path, { status: 'AWAITING_REVIEW', comment: '' }, first)
  const conflict = await other.send(path, { status: 'AWAITING_REVIEW', comment: 'my words' }, second)
  expect(conflict.status).toBe(409)
  expect(conflict.words).toMatch(/it is Awaiting review now/)
  expect(conflict.words).toMatch(/status DRAFT AWAITING_REVIEW/)
  expect(conflict.text).toContain('my words')
})
