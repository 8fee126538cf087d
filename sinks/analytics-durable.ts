import { open } from 'node:fs/promises'

/** Resolves once a file's bytes, or a directory's names, would survive a power cut. */
export async function makeDurable(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
