/** The versions that some rows of the source have from one moment to another. */
import { pause } from '../core/pause.ts'
import type { Lsn } from '../core/position.ts'
import type { Origin } from './expected.ts'
import { rowKey } from './source-keys.ts'
import type { SourceRow } from './source-by-key.ts'
import type { SourceReader } from './source-rows.ts'

export interface Watch {
  /** What was visible when the watch began has been committed before this. */
  readonly lsn: Lsn
  /**
   * What a row was seen as, oldest first; null where the source had none. Never empty: of a row that was looked at the
   * last time, one version means that it was the same at the beginning and at the end.
   */
  of(origin: Origin | null): readonly (SourceRow | null)[]
  /** Ends the watch, then looks a last time at the rows that are named when nothing looks any more. Nobody else may ask the source before. */
  end(last: () => Keys): Promise<void>
}

export type Keys = ReadonlyMap<number, ReadonlySet<string>>

/** Between two looks, and how much longer for each row: so that they take no more than a tenth of PostgreSQL's time. */
const EVERY_MS = 500
const MS_OF_ROW = 0.1

/**
 * Looks at once, every now and then, and a last time: a row that is written each second would otherwise have been something
 * at every moment that nobody saw.
 */
export async function watch(source: SourceReader, keys: Keys): Promise<Watch> {
  const seen = new Map<string, (SourceRow | null)[]>()
  const ended = new AbortController()

  async function look(at: Keys): Promise<void> {
    const rows = await source.rows(at)
    for (const [table, wanted] of at) {
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
    const rows = [...keys.values()].reduce((sum, { size }) => sum + size, 0)
    while (true) {
      await pause(EVERY_MS + MS_OF_ROW * rows, ended.signal)
      if (ended.signal.aborted) return
      const written = writtenSince(await source.stamps(keys))
      if (written.size > 0) await look(written)
    }
  }

  function writtenSince(stamps: ReadonlyMap<string, string>): Keys {
    const written = new Map<number, Set<string>>()
    for (const [table, wanted] of keys) {
      const its = [...wanted].filter((key) => {
        const name = rowKey(table, key)
        const version = seen.get(name)!.at(-1)?.version
        const stamp = stamps.get(name)
        return stamp === undefined ? version !== undefined : version?.startsWith(`${stamp} `) !== true
      })
      if (its.length > 0) written.set(table, new Set(its))
    }
    return written
  }

  await look(keys)
  const lsn = await source.lsn()
  const following = follow()
  following.catch(() => {}) // told by end
  return {
    lsn,
    of: (origin) => (origin === null ? NEVER : seen.get(rowKey(origin.table, origin.key))!),
    async end(last) {
      ended.abort()
      await following
      const left = last()
      if (left.size > 0) await look(left)
    },
  }
}

const NEVER: readonly null[] = [null]
