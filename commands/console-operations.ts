/** The console's operations, out of the parts that the commands use. Every act is recorded before anything is done. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type pg from 'pg'
import { auditStore } from '../api/audit-store.ts'
import { required } from '../config.ts'
import { ask, askHold, type Request } from '../connectors/postgres/requests.ts'
import { connect, disconnect } from '../connectors/postgres/session.ts'
import type { Operations, Operator, OperatorEvent } from '../console/operations.ts'
import type { ReconciliationNow } from '../console/reconciliation.ts'
import type { TablesNow } from '../console/table-state.ts'
import type { Ring } from '../console/ring.ts'
import { PipelineError } from '../core/error.ts'
import { analyticsDirectory, dprZone, operationalUrl, topicsOf, type Runtime } from '../runtime.ts'
import { groupLetters, readLetters, rehearse, skipLetter, type Letter } from '../proof/dead-letters.ts'
import { changePlaces } from '../proof/lineage-changes.ts'
import { untilDone } from '../proof/repair.ts'
import { reportPage } from '../proof/report-page.ts'
import { signReport } from '../proof/report.ts'
import { askingPool } from './console-answers.ts'
import { readCaptureState } from './console-capture.ts'
import { contractsNow } from './console-contracts.ts'
import type { Sampler } from './console-sampler.ts'
import { askAgain } from './dead-letters.ts'
import { reconcileRuntime } from './reconcile.ts'
import { untilPlacesPassed } from './repair.ts'

export interface OperationsOptions {
  readonly runtime: Runtime
  readonly ring: Ring
  readonly sampler: Sampler
  readonly signal: AbortSignal
}

/** How long places may take to pass a fence, and capture to see a request. */
const TIMEOUT_MS = 120_000
const SEEN_MS = 30_000
const RESULTS = 30

export function consoleOperations({ runtime, ring, sampler, signal }: OperationsOptions): Operations & {
  close(): Promise<void>
} {
  const { config, registry, raw, transport } = runtime
  const audit = auditStore(operationalUrl(config))
  const store = askingPool(operationalUrl(config))
  const source = askingPool(required(config, 'DATABASE_URL'))
  let known: { readonly end: string; readonly letters: Promise<readonly Letter[]> } | null = null
  let running: ReconciliationNow['running'] = null
  let failed: ReconciliationNow['failed'] = null
  const results: Awaited<ReturnType<typeof reconcileRuntime>>[] = []
  const times: string[] = []

  /** Rejects when it cannot be recorded: nothing is then done. */
  async function record(what: string, by: Operator, details: Readonly<Record<string, unknown>>): Promise<void> {
    const id = randomUUID()
    await audit.write({
      what,
      when: new Date(),
      who: by.username,
      clientId: 'incidents-console',
      operationId: id,
      correlationId: id,
      subject: { id: SUBJECT, type: 'NOT_APPLICABLE' },
      why: by.reason,
      details,
    })
  }

  async function deadLetters() {
    const topic = await transport.topic(topicsOf(config).deadLetters)
    const end = JSON.stringify(await topic.bounds())
    if (known?.end !== end) {
      const letters = readLetters(topic, registry)
      letters.catch(() => (known = null))
      known = { end, letters }
    }
    return { topic, letters: await known.letters }
  }

  async function chosen(ids: readonly string[]) {
    const { topic, letters } = await deadLetters()
    const wanted = new Set(ids)
    return { topic, letters: letters.filter(({ id, skipped }) => wanted.has(id) && skipped === null) }
  }

  async function onSource<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = await connect(required(config, 'DATABASE_URL'))
    return work(client).finally(() => disconnect(client))
  }

  function asked(requests: readonly Request[]): Promise<{ id: string; lsn: number }[]> {
    return onSource(async (client) => {
      const done: { id: string; lsn: number }[] = []
      for (const request of requests) done.push(await ask(client, config.NAMESPACE, request))
      return done
    })
  }

  function job(what: string, work: (tell: (says: string) => void) => Promise<void>): boolean {
    if (running !== null) return false
    const since = Date.now()
    const tell = (says: string): void => void (running = { what, since, says })
    tell('Begins')
    failed = null
    void work(tell)
      .catch((error: unknown) => {
        const says = error instanceof PipelineError ? `${error.message}. ${error.remedy}` : 'It failed unexpectedly.'
        failed = { at: new Date().toISOString(), says }
      })
      .finally(() => (running = null))
    return true
  }

  async function compare(tell: (says: string) => void): Promise<void> {
    const found = await reconcileRuntime(runtime, {
      timeoutMs: TIMEOUT_MS,
      signal,
      progress: (place, rows, expected) => tell(`Reads ${place}: ${rows} of about ${expected} rows`),
    })
    results.unshift(found)
    times.unshift(new Date().toISOString())
    results.splice(RESULTS)
    times.splice(RESULTS)
  }

  /** Rows whose source is known by key; a row that no source row stands behind needs whole tables. */
  function repairs(where: { readonly place: string; readonly entity: string } | null): Request[] {
    const everything: Request[] = [{ kind: 'tables', tables: null, sweep: true }]
    const found = results[0]?.places.find(({ place, entity }) => place === where?.place && entity === where.entity)
    if (where === null || found === undefined || found.keys.length < found.differing) return everything
    if (found.keys.some(({ source }) => source === null)) return everything
    return [...Map.groupBy(found.keys, ({ source }) => source!.table)].map(([table, its]) => ({
      kind: 'rows',
      table,
      keys: its.map(({ source }) => source!.key.split('/')),
    }))
  }

  return {
    pipeline: () => ring,
    events: async () => (await store.query<OperatorEvent>(EVENTS, [SUBJECT])).rows,
    tables: async (): Promise<TablesNow> => {
      const { rows } = await source.query<{ name: string; rows: string; identity: string }>(TABLES, [config.NAMESPACE])
      const state = readCaptureState(config.STATE_DIR)
      const [rates, readings] = [sampler.tableRates(), sampler.readings()]
      return {
        known: state !== null,
        tables: rows.map(({ name, rows: estimate, identity }) => ({
          name,
          rows: Number(estimate),
          rowsPerSecond: rates.get(name) ?? null,
          replicaIdentity: identity,
          reading: readings.get(name) ?? state?.readings.find(({ table }) => table === name) ?? null,
          stopped: state?.stopped.find(({ table }) => table === name) ?? null,
          paused: state?.paused.includes(name) === true,
        })),
      }
    },
    snapshot: async (tables, by) => {
      await record('SNAPSHOT_TABLES', by, { tables })
      const stopped = new Set((readCaptureState(config.STATE_DIR)?.stopped ?? []).map(({ table }) => table))
      await asked([{ kind: 'tables', tables: [...tables], sweep: tables.some((table) => stopped.has(table)) }])
    },
    hold: async (tables, kind, by) => {
      await record(kind === 'pause' ? 'PAUSE_TABLES' : 'RESUME_TABLES', by, { tables })
      await onSource((client) => askHold(client, config.NAMESPACE, { kind, tables: [...tables] }))
    },
    failures: async () => {
      const { letters } = await deadLetters()
      return { letters, groups: groupLetters(letters) }
    },
    rehearse: async (ids) => {
      const { letters } = await chosen(ids)
      const found = await rehearse(letters, raw, registry)
      return new Map(found.map(({ letter, result }) => [letter.id, result]))
    },
    replay: async (ids, by) => {
      const { letters } = await chosen(ids)
      await record('REPLAY_DEAD_LETTERS', by, { letters: letters.length, first: letters[0]?.id ?? null })
      const done = await askAgain(config, await rehearse(letters, raw, registry))
      return done.reduce((rows, each) => rows + each.rows, 0)
    },
    skip: async (ids, by) => {
      const { topic, letters } = await chosen(ids)
      await record('SKIP_DEAD_LETTERS', by, { letters: letters.length, first: letters[0]?.id ?? null })
      const skipped = { by: by.username, reason: by.reason, at: Date.now() }
      for (const letter of letters) await skipLetter(letter, skipped, topic, registry)
    },
    reconciliation: () => ({
      running,
      failed,
      results: results.map((result, i) => ({ at: times[i]!, result })),
    }),
    reconcile: async (by) => {
      if (running !== null) return false
      await record('RECONCILE', by, {})
      return job('Comparing every place with the source', compare)
    },
    repair: async (where, by) => {
      if (running !== null) return false
      await record('REPAIR', by, where ?? { everything: true })
      return job('Repairing, then comparing', async (tell) => {
        const done = await asked(repairs(where))
        tell('The source’s rows are read again')
        for (const { id } of done) {
          const options = { stateDirectory: config.STATE_DIR, signal, seenMs: SEEN_MS }
          const progress = await untilDone(id, options)
          if (progress === null) return tell('Queued: capture runs elsewhere, or not at all')
          await untilPlacesPassed(runtime, progress.lsn, signal)
        }
        await compare(tell)
      })
    },
    report: (form) => {
      const [result] = results
      if (result === undefined) return null
      const key = config.REPORT_SIGNING_KEY === undefined ? null : readFileSync(config.REPORT_SIGNING_KEY, 'utf8')
      const signed = signReport(
        { format: 'incidents-reconciliation-1', writtenAt: times[0]!, namespace: config.NAMESPACE, result },
        key,
      )
      const name = `reconcile-${result.lsn.replace('/', '-')}.${form}`
      return { name, text: form === 'html' ? reportPage(signed) : `${JSON.stringify(signed, null, 2)}\n` }
    },
    contracts: () => contractsNow(config),
    places: (changes) =>
      changePlaces(changes, { dpr: dprZone(config), analyticsDirectory: analyticsDirectory(config) }),
    close: async () => {
      await Promise.all([audit.close(), store.end(), source.end()])
    },
  }
}

/** What the audit records of acts on the pipeline are about. */
const SUBJECT = 'pipeline'

const EVENTS = `
  SELECT to_char("when", 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "when", who, what, why, details
  FROM prisons.incidents_audit WHERE subject_id = $1 ORDER BY id DESC LIMIT 20`

const TABLES = `
  SELECT p.schemaname || '.' || p.tablename AS name, coalesce(s.n_live_tup, 0) AS rows,
         CASE c.relreplident WHEN 'f' THEN 'full' WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' ELSE 'index' END AS identity
  FROM pg_publication_tables p JOIN pg_class c ON c.oid = to_regclass(format('%I.%I', p.schemaname, p.tablename))
  LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid WHERE p.pubname = $1 ORDER BY 1`
