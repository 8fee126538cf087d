import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { csv, lineWriter } from '../../proof/lines.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'incidents-lines-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

test('every line is in the file, whole and in order, however long it is and whatever letters it has', () => {
  const path = join(directory, 'lines')
  const lines = Array.from({ length: 40_000 }, (_, i) => `${i},é€😀${'x'.repeat(i % 50)}`)
  lines.splice(20_000, 0, '€'.repeat(200_000), '', 'y'.repeat(1 << 18), 'z'.repeat((1 << 18) - 1))
  const writer = lineWriter(path)
  for (const line of lines) writer.add(line)
  writer.end()
  expect(readFileSync(path, 'utf8') === `${lines.join('\n')}\n`).toBe(true)
})

test.for([
  ['plain', 'plain'],
  ['', '""'],
  ['\\N', '"\\N"'],
  ['a,b', '"a,b"'],
  ['say "yes"\n', '"say ""yes""\n"'],
])('%j as a field is %j', ([text, field]) => {
  expect(csv(text!)).toBe(field)
})
