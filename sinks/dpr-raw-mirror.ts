/** A raw zone's files as a folder, for readers that know folders alone. */
import { cp, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { openStorage } from './dpr-raw-storage.ts'

/** Copies what lies below these folders of the zone into the directory, under the same paths. */
export async function mirrorZone(location: string, folders: readonly string[], directory: string): Promise<void> {
  const storage = openStorage(location)
  try {
    for (const folder of folders) {
      for (const name of await storage.list(folder)) {
        const target = join(directory, folder, name)
        await mkdir(dirname(target), { recursive: true })
        await cp(await storage.localFile(`${folder}/${name}`), target)
      }
    }
  } finally {
    await storage.close()
  }
}
