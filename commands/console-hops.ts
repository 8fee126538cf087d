/** What the answers of source, topics and API say of each hop. */
import type { Hop, HopSample } from '../console/hops.ts'
import { lsnText } from '../core/position.ts'
import type { SourceNow } from './console-source.ts'
import type { ApiNow } from './console-store.ts'
import { sum, type Reader, type ReaderNow, type TopicsNow } from './console-topics.ts'

/** Each is null where it did not answer. */
export interface Answers {
  /** Milliseconds since the Unix epoch. */
  readonly at: number
  readonly source: SourceNow | null
  readonly topics: TopicsNow | null
  readonly answer: ApiNow | null
}

/** What only the samples before tell. */
export interface Known {
  /** Answers that the API has given; null where nobody counts them. */
  readonly answered: number | null
  /** Rows that have passed a hop; the records of the topic where no rows are counted. */
  counted(hop: Hop, records: number | null): number | null
  rate(hop: Hop, passed: number | null): number | null
  stalls(reader: Reader, now: ReaderNow): boolean
}

export function hopSamples(answers: Answers, { answered, counted, rate, stalls }: Known): Record<Hop, HopSample> {
  const { at, source, topics, answer } = answers
  const captured = topics?.capturedTo ?? null
  const age = (moment: number | null): number | null => (moment === null ? null : Math.max(0, at - moment) / 1000)
  const hop = (name: Hop, passed: number | null, rest: Partial<HopSample>): HopSample => ({
    ...running,
    lagRows: null,
    lagSeconds: null,
    lsn: null,
    ...rest,
    rowsPerSecond: rate(name, passed),
  })
  const readerHop = (name: Reader): HopSample => {
    const found = topics?.readers.get(name)
    if (found === undefined) return hop(name, null, away('The raw topic cannot be read.'))
    const stalled = stalls(name, found)
    const upTo = found.oldest ?? captured?.at ?? null
    return hop(name, counted(name, found.passed), {
      state: stalled ? 'stalled' : 'running',
      says: stalled ? 'It takes nothing although there is something to take.' : null,
      lagRows: found.behind,
      lagSeconds: age(upTo === null ? null : Math.min(upTo, captured?.at ?? upTo)),
      lsn: found.behind === 0 && captured !== null ? lsnText(captured.lsn) : textOf(found.lsn),
    })
  }
  const toCapture = { lagSeconds: age(captured?.at ?? null), lsn: textOf(captured?.lsn ?? null) }
  const unify = readerHop('unify')
  return {
    source: hop('source', source === null ? null : sum([...source.written.values()]), {
      ...(source === null ? down('It does not answer.') : running),
      lsn: source?.lsn ?? null,
    }),
    capture: hop('capture', counted('capture', topics?.rawHigh ?? null), {
      ...captureState(source, topics),
      ...toCapture,
    }),
    raw: hop('raw', counted('raw', topics?.rawHigh ?? null), {
      ...(topics === null ? down('It cannot be read.') : running),
      ...toCapture,
    }),
    unify,
    governed: hop('governed', topics?.governedHigh ?? null, {
      ...(topics === null ? down('They cannot be read.') : running),
      lagRows: unify.lagRows,
      lagSeconds: unify.lagSeconds,
      lsn: unify.lsn,
    }),
    'dpr-raw': readerHop('dpr-raw'),
    operational: readerHop('operational'),
    analytics: readerHop('analytics'),
    api: hop('api', answered, {
      ...(answer === null ? down('It, or its store, does not answer.') : running),
      lagSeconds: age(answer?.asOf ?? null),
      lsn: answer?.lsn ?? null,
    }),
  }
}

type State = Pick<HopSample, 'state' | 'says'>

const running: State = { state: 'running', says: null }

function down(says: string): State {
  return { state: 'down', says }
}

function away(says: string): State {
  return { state: 'unknown', says }
}

function captureState(source: SourceNow | null, topics: TopicsNow | null): State {
  if (source === null) return away('The source cannot be asked.')
  if (source.slot === null) return down('There is no slot: nothing has been captured yet, or the slot was dropped.')
  if (source.slot.walStatus === 'lost') return down('The slot is lost: the source removed WAL that it needed.')
  if (!source.slot.active) return down('Nobody reads the slot.')
  if (topics?.snapshotDone === false) return { state: 'reading', says: 'The first snapshot is not whole.' }
  return running
}

function textOf(lsn: number | null): string | null {
  return lsn === null ? null : lsnText(lsn)
}
