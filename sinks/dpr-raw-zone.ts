/**
 * The files of a raw zone for those who read them: in the zone, and in the archive to which DPR's jobs move what they
 * have read, first by a copy, days later by deleting what was copied (rule dpr.archive).
 */
import { openStorage, type Storage } from './dpr-raw-storage.ts'

export interface ZonePlaces {
  /** A folder, or a bucket's prefix. */
  readonly zone: string
  /** The same; null where nothing is archived. */
  readonly archive: string | null
}

export interface ZoneFile {
  /** The same in zone and archive. */
  readonly name: string
  /** As a person names it. */
  readonly path: string
  /** Where DuckDB reads it while the zone is open. */
  readonly local: string
}

export interface Zone {
  /**
   * Gives the work the files of `<source>/<table>`, each once, and does it again where the jobs move some meanwhile.
   */
  reading<T>(source: string, table: string, work: (files: readonly ZoneFile[]) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** Names that the sink gives. */
const NAMES = /^(LOAD[^/]*|\d+-\d+\.)parquet$/
/** Where an archive holds the difference of a reload, DPR's job has named the file. */
const ARCHIVED = /\.parquet$/

/** So many files of a bucket are fetched at a time. */
const FETCHED = 16

const TRIES = 5

export function openZone({ zone, archive }: ZonePlaces): Zone {
  const raw = openStorage(zone)
  const archived = archive === null ? null : openStorage(archive)

  /** The zone first: what the archive does not have yet cannot have gone from the zone before. */
  async function listed(source: string, table: string): Promise<readonly Listed[]> {
    const here = await folderFiles(raw, `raw/${source}/${table}`, NAMES)
    if (archived === null) return here
    const names = new Set(here.map(({ name }) => name))
    const there = await folderFiles(archived, `${source}/${table}`, ARCHIVED)
    return [...here, ...there.filter(({ name }) => !names.has(name))]
  }

  return {
    async reading(source, table, work) {
      for (let tries = 1; ; tries++) {
        const files = await listed(source, table)
        try {
          return await work(await fetched(files))
        } catch (error) {
          const now = new Set((await listed(source, table)).map(pathOf))
          if (tries === TRIES || files.every((file) => now.has(pathOf(file)))) throw error
        }
      }
    },
    close: async () => {
      await raw.close()
      await archived?.close()
    },
  }
}

/** The files of a zone's folder as DuckDB can read them, of a bucket until the storage closes; none when it is empty. */
export async function tableFiles(storage: Storage, source: string, table: string): Promise<string[]> {
  const files = await folderFiles(storage, `raw/${source}/${table}`, NAMES)
  return (await fetched(files)).map(({ local }) => local)
}

interface Listed {
  readonly storage: Storage
  readonly folder: string
  readonly name: string
}

function pathOf({ storage, folder, name }: Listed): string {
  return `${storage.location}/${folder}/${name}`
}

async function folderFiles(storage: Storage, folder: string, pattern: RegExp): Promise<readonly Listed[]> {
  const names = await storage.list(folder)
  return names.filter((name) => pattern.test(name)).map((name) => ({ storage, folder, name }))
}

async function fetched(files: readonly Listed[]): Promise<ZoneFile[]> {
  const found: ZoneFile[] = []
  for (let from = 0; from < files.length; from += FETCHED) {
    const some = files.slice(from, from + FETCHED).map(async (file) => ({
      name: file.name,
      path: pathOf(file),
      local: await file.storage.localFile(`${file.folder}/${file.name}`),
    }))
    found.push(...(await Promise.all(some)))
  }
  return found
}
