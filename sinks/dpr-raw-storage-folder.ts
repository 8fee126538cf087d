/**
 * A raw zone in a folder. A staged file is linked to its place, so that it is there wholly or not at all and never over
 * another; all of the zone must lie on one file system.
 */
import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, readdir, rename, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { foreignFile } from './dpr-raw-error.ts'
import type { Storage } from './dpr-raw-storage.ts'

export function folderStorage(root: string): Storage {
  const at = (path: string): string => join(root, path)
  const made = new Set<string>()

  async function make(folder: string): Promise<void> {
    if (made.has(folder)) return
    await mkdir(folder, { recursive: true })
    made.add(folder)
  }

  return {
    location: root,
    workFile: async (path) => {
      await mkdir(dirname(at(path)), { recursive: true })
      return at(path)
    },
    stage: async (paths) => {
      await Promise.all(paths.map((path) => sync(at(path))))
      const folders = new Set(paths.flatMap((path) => [dirname(at(path)), dirname(dirname(at(path)))]))
      for (const folder of folders) await sync(folder)
    },
    publish: async (files, done) => {
      const changed = new Set<string>()
      for (const { staged, target } of files) {
        await make(dirname(at(target)))
        if (await linkNew(at(staged), at(target))) changed.add(dirname(at(target)))
        done()
      }
      await Promise.all([...changed].flatMap((folder) => [sync(folder), sync(dirname(folder))]))
    },
    localFile: async (path) => at(path),
    list: async (folder) => {
      const found = await readdir(at(folder), { recursive: true, withFileTypes: true }).catch(nothingMissing)
      return found
        .filter((each) => each.isFile())
        .map((each) => relative(at(folder), join(each.parentPath, each.name)).split(sep).join('/'))
        .sort()
    },
    readText: (path) => readFile(at(path), 'utf8').catch(nullMissing),
    createText: async (path, text) => {
      await make(dirname(at(path)))
      const created = await writeNew(at(path), text)
      if (created) await sync(dirname(at(path)))
      return created || (await readFile(at(path), 'utf8')) === text
    },
    replaceText: async (path, text) => {
      await make(dirname(at(path)))
      const aside = asideName(at(path))
      try {
        await writeFile(aside, text, { flush: true })
        await rename(aside, at(path))
      } catch (error) {
        await rm(aside, { force: true })
        throw error
      }
      await sync(dirname(at(path)))
    },
    remove: async (paths) => {
      for (const path of paths) await rm(at(path), { force: true })
    },
    removeFolder: (folder) => rm(at(folder), { recursive: true, force: true }),
    close: async () => {},
  }
}

/** False when the file is already there; it is never seen half written. */
async function writeNew(file: string, text: string): Promise<boolean> {
  const aside = asideName(file)
  try {
    await writeFile(aside, text, { flush: true })
    await link(aside, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await unlink(aside).catch(nullMissing)
  }
}

/** False when the file is published already: a staged file only goes when it is. */
async function linkNew(staged: string, target: string): Promise<boolean> {
  try {
    await link(staged, target)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return false
    if (code !== 'EEXIST') throw error
    if ((await stat(staged)).ino === (await stat(target)).ino) return true
    throw foreignFile(target)
  }
}

/** DPR's readers skip what begins with a dot (rule dpr.schema). */
function asideName(file: string): string {
  const slash = file.lastIndexOf('/') + 1
  return `${file.slice(0, slash)}.${file.slice(slash)}.${randomBytes(4).toString('hex')}`
}

/** What was written to the file, or which names the folder has, survives a crash from here on. */
async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function nullMissing(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
  throw error
}

function nothingMissing(error: unknown): never[] {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
  throw error
}
