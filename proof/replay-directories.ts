/** A directory that was filled beside the live one takes its place: two renames, and a crash between them is finished. */
import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'

/** `live.next` becomes `live`, and what was there `live.previous`. Whoever writes to either must rest. */
export async function swapDirectories(live: string): Promise<void> {
  await rm(`${live}.previous`, { recursive: true, force: true })
  if (existsSync(live)) await rename(live, `${live}.previous`)
  await rename(`${live}.next`, live)
}

/** What a swap that was interrupted between its renames left to do; called before anybody opens what is there. */
export async function finishSwap(live: string): Promise<void> {
  if (!existsSync(live) && existsSync(`${live}.previous`) && existsSync(`${live}.next`))
    await rename(`${live}.next`, live)
}
