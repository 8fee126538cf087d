/** A file of CSV lines, which a scratch makes a table of: cheaper than any row by row interface, and any process may write it. */
import { closeSync, openSync, writeSync } from 'node:fs'

export interface LineWriter {
  /** One line without its end: texts through {@link csv}, `\N` for NULL. */
  add(line: string): void
  end(): void
}

const BLOCK_BYTES = 1 << 18
const NEWLINE = 0x0a

export function lineWriter(path: string): LineWriter {
  const file = openSync(path, 'w')
  const block = Buffer.allocUnsafe(BLOCK_BYTES)
  let at = 0
  const flush = (): void => {
    writeSync(file, block, 0, at)
    at = 0
  }
  return {
    add: (line) => {
      const atMost = line.length * 3 + 1 // bytes of UTF-8
      if (atMost > BLOCK_BYTES - at) flush()
      if (atMost > BLOCK_BYTES) {
        writeSync(file, `${line}\n`)
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
