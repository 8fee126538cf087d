/** A file of CSV lines, which a scratch makes a table of: cheaper than any row by row interface, and any process may write it. */
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { noSpaceFor } from '../core/scratch-folder.ts'

export interface LineWriter {
  /** One line without its end: texts through {@link csv}, `\N` for NULL. DISK_FULL, here and at the end. */
  add(line: string): void
  end(): void
}

/** What they are, to who must make room. */
export const KEPT = 'the keys and hashes of the comparison, some 200 bytes a row and place'

const BLOCK_BYTES = 1 << 18
const NEWLINE = 0x0a

export function lineWriter(path: string): LineWriter {
  const file = openSync(path, 'w')
  const block = Buffer.allocUnsafe(BLOCK_BYTES)
  let at = 0
  const write = (bytes: Buffer | string): void => {
    try {
      writeFileSync(file, bytes) // all of it: a device that becomes full takes a part and says nothing
    } catch (error) {
      throw noSpaceFor(error, KEPT) ?? error
    }
  }
  const flush = (): void => {
    write(block.subarray(0, at))
    at = 0
  }
  return {
    add: (line) => {
      const atMost = line.length * 3 + 1 // bytes of UTF-8
      if (atMost > BLOCK_BYTES - at) flush()
      if (atMost > BLOCK_BYTES) {
        write(`${line}\n`)
        return
      }
      // at once into bytes: texts that wait to be joined are what the collector would have to carry on
      at += block.write(line, at)
      block[at++] = NEWLINE
    },
    end: () => {
      flush()
      closeSync(file)
    },
  }
}

/** A text as a CSV field. */
export function csv(text: string): string {
  return /[",\n\r\\]/.test(text) || text === '' ? `"${text.replaceAll('"', '""')}"` : text
}
