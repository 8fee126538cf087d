/** A file of CSV lines, which a scratch makes a table of: cheaper than any row by row interface, and any thread may write it. */
import { closeSync, openSync, writeSync } from 'node:fs'

export interface LineWriter {
  /** One line without its end: texts through {@link csv}, `\N` for NULL. */
  add(line: string): void
  end(): void
}

const CHUNK = 1 << 20

export function lineWriter(path: string): LineWriter {
  const file = openSync(path, 'w')
  let chunk = ''
  const flush = (): void => {
    writeSync(file, chunk)
    chunk = ''
  }
  return {
    add: (line) => {
      chunk += `${line}\n`
      if (chunk.length >= CHUNK) flush()
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
