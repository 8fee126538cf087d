/** A device with little room: a tmpfs of its own. It needs root, or sudo without a password. */
import { execFileSync } from 'node:child_process'
import { statfsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SmallDisk {
  readonly path: string
  /** Leaves so many bytes, whole pages of them: the device shrinks to what it holds. */
  fill(leave: number): void
  /** As large as it was. */
  makeRoom(): void
  remove(): Promise<void>
}

export async function smallDisk(bytes: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'incidents-disk-'))
  asRoot('mount', '-t', 'tmpfs', '-o', `size=${bytes},mode=0777`, 'tmpfs', path)
  const resize = (to: number): void => asRoot('mount', '-o', `remount,size=${to}`, path)
  return {
    path,
    fill: (leave) => {
      for (let tries = 1; ; tries++) {
        const { blocks, bfree, bsize } = statfsSync(path)
        try {
          // one page at least: a size of 0 is no bound
          return resize(Math.max(1, blocks - bfree + Math.floor(leave / bsize)) * bsize)
        } catch (error) {
          // others write here too, and took more than that meanwhile
          if (tries === 10) throw error
        }
      }
    },
    makeRoom: () => resize(bytes),
    remove: async () => {
      asRoot('umount', '--lazy', path)
      await rm(path, { recursive: true, force: true })
    },
  }
}

/** Whether it may be written. */
export function remount({ path }: SmallDisk, mode: 'ro' | 'rw'): void {
  asRoot('mount', '-o', `remount,${mode}`, path)
}

function asRoot(command: string, ...args: readonly string[]): void {
  const stdio = 'pipe' // what it says of a failure is in the error
  if (process.getuid?.() === 0) execFileSync(command, args, { stdio })
  else execFileSync('sudo', ['-n', command, ...args], { stdio })
}
