/**
 * The states that a reload of DPR steps through (rule dpr.reload), steered by files of the zone as DMS is by its
 * console:
 *
 *   control/hold-after-load   while it is there, nothing but the first snapshot's load files is written
 *   control/hold              while it is there, nothing is written
 *   manifest/statistics.json  which state the sink is in, DMS's event for it, and the tables' counts by DMS's names
 *
 * What waits is in the topic: the sink takes nothing more until the file has gone.
 */
import { PipelineError } from '../core/error.ts'
import type { TableCounts } from './dpr-raw-state.ts'
import type { Storage } from './dpr-raw-storage.ts'
import { pause } from '../core/pause.ts'

export type LifecycleState = 'full-load' | 'stopped-after-load' | 'held' | 'cdc'

export interface Lifecycle {
  /** Whether the sink is to stop when the load is whole. */
  stopsAfterLoad(): Promise<boolean>
  /** Resolves when the file has gone; says meanwhile that the sink stands. SINK when it is closed before. */
  passed(file: 'hold' | 'hold-after-load', tables: Tables): Promise<void>
  tell(state: LifecycleState, tables: Tables): Promise<void>
  close(): void
}

export type Tables = Readonly<Record<string, TableCounts>>

const LOOK_MS = 1_000

export function lifecycle(storage: Storage, lookMs = LOOK_MS): Lifecycle {
  const closing = new AbortController()
  const isThere = async (file: string): Promise<boolean> => (await storage.readText(`control/${file}`)) !== null

  async function tell(state: LifecycleState, tables: Tables): Promise<void> {
    await storage.replaceText('manifest/statistics.json', `${JSON.stringify(statisticsOf(state, tables))}\n`)
  }

  return {
    stopsAfterLoad: () => isThere('hold-after-load'),
    passed: async (file, tables) => {
      if (!(await isThere(file))) return
      await tell(file === 'hold' ? 'held' : 'stopped-after-load', tables)
      do {
        await pause(lookMs, closing.signal)
        if (closing.signal.aborted) throw closedWhileHeld(storage, file)
      } while (await isThere(file))
    },
    tell,
    close: () => closing.abort(),
  }
}

/** DMS's events: the task has stopped after its load, or runs. */
const EVENTS: Readonly<Record<LifecycleState, string | null>> = {
  'full-load': null,
  'stopped-after-load': 'DMS-EVENT-0079',
  held: 'DMS-EVENT-0079',
  cdc: null,
}

function statisticsOf(state: LifecycleState, tables: Tables): object {
  return {
    state,
    event: EVENTS[state],
    tables: Object.entries(tables).map(([name, { fullLoadRows, inserts, updates, deletes }]) => {
      const [SchemaName, TableName] = name.split('/')
      return {
        SchemaName,
        TableName,
        FullLoadRows: fullLoadRows,
        Inserts: inserts,
        Updates: updates,
        Deletes: deletes,
        AppliedInserts: inserts,
        AppliedUpdates: updates,
        AppliedDeletes: deletes,
      }
    }),
  }
}

function closedWhileHeld({ location }: Storage, file: string): PipelineError {
  return new PipelineError(
    'SINK',
    `The writer of DPR's raw zone in ${location} was closed while control/${file} held it`,
    'Remove the file when DPR is ready; what waits is in the topic.',
  )
}
