/** The versions that some rows of the source have from one moment to another. */
import { pause } from '../core/pause.ts'
import type { Lsn } from '../core/position.ts'
import type { Origin } from './expected.ts'
import { rowKey } from './source-keys.ts'
import type { SourceReader, SourceRow } from './source-rows.ts'

export interface Watch {
  /** What was visible when the watch began has been committed before this. */
  readonly lsn: Lsn
  /**
   * What a row was seen as, oldest first; null where the source had none. Never empty: one version means that it was the
   * same at the beginning and at the end.
   */
  of(origin: Origin | null): readonly (SourceRow | null)[]
  /** Looks a last time. Nobody else may ask the source before. */
  end(): Promise<void>
}

export type Keys = ReadonlyMap<number, ReadonlySet<string>>

/** Of more rows than this none is looked at in between: that would take PostgreSQL from what is waited for. */
const FEW = 1_000

const EVERY_MS = 500

/**
 * Looks at once, at the end, and while the rows are few every now and then in between: a row that is written each second
 * would otherwise have been something at every moment that nobody saw.
 */
export async function watch(source: SourceReader, keys: Keys): Promise<Watch> {
  const seen = new Map<string, (SourceRow | null)[]>()
  const ended = new AbortController()

  async function look(): Promise<void> {
    const rows = await source.rows(keys)
    for (const [table, wanted] of keys) {
      for (const key of wanted) note(rowKey(table, key), rows)
    }
  }

  function note(name: string, rows: ReadonlyMap<string, SourceRow>): void {
    const row = rows.get(name) ?? null
    const versions = seen.get(name)
    if (versions === undefined) seen.set(name, [row])
    else if (versions.at(-1)?.version !== row?.version) versions.push(row)
  }

  async function follow(): Promise<void> {
    while (true) {
      await pause(EVERY_MS, ended.signal)
      if (ended.signal.aborted) return
      await look()
    }
  }

  await look()
  const lsn = await source.lsn()
  const isFew = [...keys.values()].reduce((sum, { size }) => sum + size, 0) <= FEW
  const following = isFew ? follow() : Promise.resolve()
  following.catch(() => {}) // told by end
  return {
    lsn,
    of: (origin) => (origin === null ? NEVER : seen.get(rowKey(origin.table, origin.key))!),
    async end() {
      ended.abort()
      await following
      await look()
    },
  }
}

const NEVER: readonly null[] = [null]
