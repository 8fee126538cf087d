/** A pipeline that runs, or whatever a test makes of it, for the console's pages alone. */
import { HOPS, type HopSample, type Sample } from '../../console/hops.ts'
import type { Operations } from '../../console/operations.ts'
import { contractsPages } from '../../console/pages/contracts.ts'
import { failuresPages } from '../../console/pages/failures.ts'
import { pipelinePage } from '../../console/pages/pipeline-page.ts'
import { reconciliationPages } from '../../console/pages/reconciliation.ts'
import { tablesPage } from '../../console/pages/tables.ts'
import { ring } from '../../console/ring.ts'
import { MARKUP } from './browser.ts'

const HOP: HopSample = {
  state: 'running',
  says: null,
  rowsPerSecond: 12.5,
  lagRows: 3,
  lagSeconds: 1.2,
  lsn: '0/16B3748',
}

export function sampleAt(at: number, changed: Partial<Record<(typeof HOPS)[number], Partial<HopSample>>> = {}): Sample {
  const hops = Object.fromEntries(HOPS.map((hop) => [hop, { ...HOP, ...changed[hop] }])) as Sample['hops']
  return {
    at,
    hops,
    slot: {
      name: 'incidents',
      active: true,
      walStatus: 'reserved',
      heldBytes: 1_000_000,
      leftBytes: 99_000_000,
      secondsToLoss: 3_600,
    },
    behindSeconds: 1.2,
    deadLetters: 1,
  }
}

/** Markup stands in every text that comes from elsewhere. `calls` tells what was asked for. */
export function fakeOperations(changed: Partial<Operations> = {}): Operations & { readonly calls: unknown[][] } {
  const calls: unknown[][] = []
  const samples = ring()
  for (let i = 0; i < 30; i++) samples.add(sampleAt(1_800_000_000_000 + i * 2_000))
  const letter = {
    id: '3/7',
    at: 1_800_000_000_000,
    position: '0001/0000000000000001/00000001',
    schema: 'nomis',
    table: MARKUP,
    key: '1/2',
    reference: MARKUP,
    code: 'UNKNOWN_CODE',
    message: MARKUP,
    remedy: 'Add it to the code tables.',
    rulesVersion: 1,
    skipped: null,
  }
  const difference = { key: MARKUP, why: 'different', columns: ['title'], source: null, place: null }
  const result = {
    differing: 1,
    incomplete: 0,
    unsettled: 0,
    unreadable: [],
    lsn: '0/16B3748',
    rows: 10,
    seconds: 1,
    places: [{ place: 'operational', entity: 'Report', rows: 10, differing: 1, unsettled: 0, keys: [difference] }],
  }
  const act =
    <T>(name: string, answer: T) =>
    async (...args: unknown[]): Promise<T> => {
      calls.push([name, ...args])
      return answer
    }
  return {
    calls,
    pipeline: () => samples,
    events: async () => [{ when: '2026-11-25T12:00:00Z', who: MARKUP, what: 'REPAIR', why: MARKUP, details: '{}' }],
    tables: async () => ({
      known: true,
      tables: [
        {
          name: `public.${MARKUP}`,
          rows: 10,
          rowsPerSecond: 1,
          replicaIdentity: 'full',
          reading: { table: 't', outcome: 'reading', rows: 5, expected: 10, rowsPerSecond: 2, secondsLeft: 2.5 },
          stopped: { table: 't', found: MARKUP, remedy: '`incidents repair` reads it again.' },
          paused: true,
        },
      ],
    }),
    snapshot: act('snapshot', undefined),
    hold: act('hold', undefined),
    failures: async () => ({
      letters: [letter],
      groups: [
        {
          code: 'UNKNOWN_CODE',
          letters: 1,
          skipped: 0,
          firstSeen: '2026-11-25T12:00:00Z',
          lastSeen: '2026-11-25T12:00:00Z',
          incidents: ['1'],
        },
      ],
    }),
    rehearse: act('rehearse', new Map([['3/7', { outcome: 'refused', code: 'UNKNOWN_CODE' } as const]])),
    replay: act('replay', 1),
    skip: act('skip', undefined),
    reconciliation: () => ({ running: null, failed: null, results: [{ at: '2026-11-25T12:00:00Z', result }] }),
    reconcile: act('reconcile', true),
    repair: act('repair', true),
    report: () => null,
    places: async () => new Map(),
    contracts: async () => [
      {
        subject: 'incidents.unified-Report',
        record: 'Report',
        topic: 'incidents.unified',
        digest: 'abcdef01',
        level: 'FULL_TRANSITIVE',
        versions: [
          { version: 1, fields: [{ name: 'id', type: 'string', meaning: 'Its id.' }] },
          {
            version: 2,
            fields: [
              { name: 'id', type: 'string', meaning: 'Its id.' },
              { name: 'title', type: 'null or int', meaning: MARKUP },
            ],
          },
        ],
        clearances: { unified: { id: 'string, key' } },
        consumers: [{ consumer: MARKUP, from: 'incidents.unified', fields: ['*'] }],
      },
    ],
    ...changed,
  }
}

/** The pages that need nothing but operations. */
export function pipelinePages(operations: Operations) {
  return [pipelinePage, tablesPage, failuresPages, reconciliationPages, contractsPages].map((page) => page(operations))
}
