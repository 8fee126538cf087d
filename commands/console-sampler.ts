/** How every hop stands, taken again and again by a process that keeps its connections. */
import type { Hop, Sample } from '../console/hops.ts'
import type { TableReading } from '../console/table-state.ts'
import { operationalUrl, type Runtime } from '../runtime.ts'
import { askingPool, inTime } from './console-answers.ts'
import { readCaptureState } from './console-capture.ts'
import { hopSamples } from './console-hops.ts'
import { readSource } from './console-source.ts'
import { readApi } from './console-store.ts'
import { sum, topicsReader, type Reader, type ReaderNow } from './console-topics.ts'

export interface SamplerOptions {
  readonly runtime: Runtime
  /** `http://127.0.0.1:8080` */
  readonly apiUrl: string
  /** The stages run in this process, so that its metrics count rows. */
  readonly stagesHere: boolean
}

export interface Sampler {
  /** Never rejects: what does not answer is told. */
  sample(): Promise<Sample>
  /** Rows that transactions wrote a second, by table, over the last minute; none before two samples. */
  tableRates(): ReadonlyMap<string, number>
  /** The reading outside the stream, with rate and time left, by table. */
  readings(): ReadonlyMap<string, TableReading>
  close(): Promise<void>
}

/** A reader that has something to do and does not move for so long is stalled, or three times what it may wait. */
const STALLED_MS = 15_000
const MINUTE = 60_000

export function pipelineSampler({ runtime, apiUrl, stagesHere }: SamplerOptions): Sampler {
  const { config, metrics } = runtime
  const database = config.DATABASE_URL === undefined ? null : askingPool(config.DATABASE_URL)
  const store = askingPool(operationalUrl(config))
  const readTopics = topicsReader(runtime)
  const passedBefore = new Map<Hop, { at: number; passed: number }>()
  const moved = new Map<Reader, { passed: number; at: number }>()
  const history: { at: number; wal: number; written: ReadonlyMap<string, number> }[] = []
  const readings = new Map<string, { readonly at: number; readonly reading: TableReading }>()
  const waits: Readonly<Record<Reader, number>> = {
    unify: STALLED_MS,
    operational: STALLED_MS,
    'dpr-raw': Math.max(STALLED_MS, 3 * config.DPR_FLUSH_MS),
    analytics: Math.max(STALLED_MS, 3 * config.ANALYTICS_PUBLISH_MS),
  }

  /** Since the sample before; null when there is none, or the count began anew. */
  function rate(hop: Hop, at: number, passed: number | null): number | null {
    const before = passedBefore.get(hop)
    if (passed === null) return null
    passedBefore.set(hop, { at, passed })
    if (before === undefined || passed < before.passed || at <= before.at) return null
    return ((passed - before.passed) * 1000) / (at - before.at)
  }

  async function answersGiven(): Promise<number | null> {
    const metric = metrics.registry.getSingleMetric('http_request_duration_seconds')
    if (!stagesHere || metric === undefined) return null
    const { values } = (await metric.get()) as { values: { metricName?: string; value: number }[] }
    return sum(values.flatMap(({ metricName, value }) => (metricName?.endsWith('_count') === true ? [value] : [])))
  }

  function stalls(reader: Reader, { passed, behind }: ReaderNow, at: number): boolean {
    const before = moved.get(reader)
    if (before === undefined || before.passed !== passed || behind === 0) {
      moved.set(reader, { passed, at })
      return false
    }
    return at - before.at > waits[reader]
  }

  async function sample(): Promise<Sample> {
    const at = Date.now()
    const [source, topics, answer, answered] = await Promise.all([
      database === null ? null : inTime(readSource(database, config.NAMESPACE)),
      inTime(readTopics()),
      inTime(readApi(apiUrl, store)),
      answersGiven(),
    ])
    if (source !== null) {
      history.push({ at, wal: source.wal, written: source.written })
      while (history.length > 0 && at - history[0]!.at > MINUTE) history.shift()
    }
    readCapture(at)
    const hops = hopSamples(
      { at, source, topics, answer },
      {
        answered,
        counted: (hop, records) => (stagesHere ? metrics.passed(hop === 'raw' ? 'capture' : hop) : records),
        rate: (hop, passed) => rate(hop, at, passed),
        stalls: (reader, now) => stalls(reader, now, at),
      },
    )
    return {
      at,
      hops,
      slot: source?.slot == null ? null : { ...source.slot, secondsToLoss: timeToLoss(source.slot.leftBytes) },
      behindSeconds: hops.api.lagSeconds,
      deadLetters: topics?.deadLetters ?? null,
    }
  }

  function timeToLoss(leftBytes: number | null): number | null {
    const [first, last] = [history[0], history.at(-1)]
    if (leftBytes === null || first === undefined || last === undefined || last.at === first.at) return null
    const perSecond = ((last.wal - first.wal) * 1000) / (last.at - first.at)
    return perSecond <= 0 ? null : Math.round(leftBytes / perSecond)
  }

  function readCapture(at: number): void {
    for (const reading of readCaptureState(config.STATE_DIR)?.readings ?? []) {
      const before = readings.get(reading.table)
      const same = before !== undefined && before.reading.rows <= reading.rows && reading.outcome === 'reading'
      const perSecond = same && at > before.at ? ((reading.rows - before.reading.rows) * 1000) / (at - before.at) : null
      const left = Math.max(0, reading.expected - reading.rows)
      readings.set(reading.table, {
        at,
        reading: {
          ...reading,
          rowsPerSecond: perSecond,
          secondsLeft: perSecond === null || perSecond === 0 ? null : left / perSecond,
        },
      })
    }
  }

  return {
    sample,
    tableRates: () => {
      const [first, last] = [history[0], history.at(-1)]
      if (first === undefined || last === undefined || first.at === last.at) return new Map()
      return new Map(
        [...last.written].map(([table, rows]) => [
          table,
          Math.max(0, ((rows - (first.written.get(table) ?? rows)) * 1000) / (last.at - first.at)),
        ]),
      )
    },
    readings: () => new Map([...readings].map(([table, { reading }]) => [table, reading])),
    close: async () => {
      await Promise.all([database?.end(), store.end()])
    },
  }
}
