/** A device with little room: a tmpfs of its own. It needs root, or sudo without a password. */
import { execFileSync } from 'node:child_process'
import { appendFileSync, rmSync, statfsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SmallDisk {
  readonly path: string
  /** Fills it but for so many bytes. */
  fill(leave: number): void
  /** Takes back what `fill` took. */
  makeRoom(): void
  remove(): Promise<void>
}

export async function smallDisk(bytes: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'incidents-disk-'))
  asRoot('mount', '-t', 'tmpfs', '-o', `size=${bytes},mode=0777`, 'tmpfs', path)
  const filler = join(path, 'filler')
  return {
    path,
    fill: (leave) => {
      const room = (): number => statfsSync(path).bavail * statfsSync(path).bsize - leave
      try {
        for (let left = room(); left > 0; left = room()) appendFileSync(filler, Buffer.alloc(Math.min(left, 1 << 20)))
      } catch (error) {
        // others write here too, and took the last of it
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    },
    makeRoom: () => rmSync(filler, { force: true }),
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
  if (process.getuid?.() === 0) execFileSync(command, args)
  else execFileSync('sudo', ['-n', command, ...args])
}
