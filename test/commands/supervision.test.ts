import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { supervise, type Stage } from '../../commands/supervision.ts'
import { pause } from '../../core/pause.ts'
import { PipelineError, type Code } from '../../core/error.ts'
import { logger } from '../../observability.ts'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

const fault = (code: Code): PipelineError => new PipelineError(code, `found ${code}`, 'mend it')

/** A stage that works so long before each fault, and after the last one until it is stopped. */
function stage(...lives: readonly { readonly worksMs: number; readonly fails: Error }[]) {
  const startedAt: number[] = []
  const run: Stage = async (signal) => {
    startedAt.push(performance.now())
    const life = lives[startedAt.length - 1]
    await pause(life?.worksMs ?? 1e9, signal)
    if (!signal.aborted && life !== undefined) throw life.fails
  }
  return { run, startedAt }
}

function supervised(...stages: readonly Stage[]) {
  const stop = new AbortController()
  const log = logger('silent')
  const error = vi.spyOn(log, 'error')
  const named = new Map(stages.map((each, i) => [`stage ${i}`, each]))
  let outcome: 'running' | 'ended' | Error = 'running'
  supervise(named, log, stop.signal).then(
    () => (outcome = 'ended'),
    (cause: Error) => (outcome = cause),
  )
  return { stop: () => stop.abort(), error, outcome: () => outcome }
}

const HOUR = 3_600_000
const settled = { worksMs: 20_000, fails: fault('BROKER') }

test('a stage that has never worked ends the process with its error, even one that may pass', async () => {
  const broken = stage({ worksMs: 6_000, fails: fault('SOURCE_UNREACHABLE') })
  const other = stage()
  const run = supervised(broken.run, other.run)
  await vi.advanceTimersByTimeAsync(HOUR)
  expect(run.outcome()).toMatchObject({ code: 'SOURCE_UNREACHABLE' })
  expect(broken.startedAt).toHaveLength(1)
})

test('once it has worked, a fault that may pass is told and tried again, ever more slowly, for as long as it lasts', async () => {
  const outage = Array.from({ length: 12 }, () => ({ worksMs: 0, fails: fault('BROKER') }))
  const shaken = stage(settled, ...outage)
  const run = supervised(shaken.run)
  await vi.advanceTimersByTimeAsync(HOUR)
  expect(run.outcome()).toBe('running')
  expect(shaken.startedAt).toHaveLength(14)
  const pauses = run.error.mock.calls.map(([fields]) => (fields as unknown as { againInMs: number }).againInMs)
  expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, ...Array(7).fill(30_000)])
  expect(run.error.mock.calls[0]).toEqual([
    { stage: 'stage 0', code: 'BROKER', remedy: 'mend it', againInMs: 500 },
    'found BROKER',
  ])
})

test('after a fault that passed, the next one is again met quickly', async () => {
  const shaken = stage(settled, { worksMs: 0, fails: fault('SINK') }, settled)
  const run = supervised(shaken.run)
  await vi.advanceTimersByTimeAsync(HOUR)
  const pauses = run.error.mock.calls.map(([fields]) => (fields as unknown as { againInMs: number }).againInMs)
  expect(pauses).toEqual([500, 1_000, 500])
})

describe('what trying again cannot help ends the process at once, however long it has worked:', () => {
  test.each([fault('IDENTITY'), fault('SLOT_LOST'), fault('SLOT_IN_USE'), fault('CONTRACT'), new TypeError('a bug')])(
    '$name $code',
    async (fails) => {
      const broken = stage({ worksMs: HOUR / 2, fails })
      const other = stage()
      const run = supervised(other.run, broken.run)
      await vi.advanceTimersByTimeAsync(HOUR)
      expect(run.outcome()).toBe(fails)
      expect(broken.startedAt).toHaveLength(1)
      expect(vi.getTimerCount(), 'the other stage is stopped').toBe(0)
    },
  )
})

describe('the signal', () => {
  test('ends every stage, and an error on the way out is no error', async () => {
    const calm = stage()
    const clumsy: Stage = async (signal) => {
      await pause(1e9, signal)
      throw fault('SOURCE_UNREACHABLE')
    }
    const run = supervised(calm.run, clumsy)
    await vi.advanceTimersByTimeAsync(1_000)
    run.stop()
    await vi.advanceTimersByTimeAsync(0)
    expect(run.outcome()).toBe('ended')
  })

  test('is not waited for in a pause', async () => {
    const shaken = stage(settled, ...Array.from({ length: 9 }, () => ({ worksMs: 0, fails: fault('BROKER') })))
    const run = supervised(shaken.run)
    await vi.advanceTimersByTimeAsync(70_000)
    const starts = shaken.startedAt.length
    run.stop()
    await vi.advanceTimersByTimeAsync(0)
    expect(run.outcome()).toBe('ended')
    expect(shaken.startedAt).toHaveLength(starts)
    expect(vi.getTimerCount()).toBe(0)
  })
})
