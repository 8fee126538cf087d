/** A row has one tuple, whether COPY or pgoutput brings it. */
import { to as copyTo } from 'pg-copy-streams'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { copyReader } from '../../../connectors/postgres/copy.ts'
import { decodeFrame } from '../../../connectors/postgres/pgoutput.ts'
import { connect } from '../../../connectors/postgres/session.ts'
import type { Tuple } from '../../../core/change.ts'
import { peek, publish } from '../../support/pgoutput.ts'
import { testDatabase } from '../../support/postgres.ts'

const text = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.string({
      unit: fc.constantFrom('\\', 'N', 'n', '\t', '\n', '\r', '\b', '\f', '\v', '.', '"', '{', '😀'),
      maxLength: 30,
    }),
  )
  .filter((each) => !each.includes('\0') && each.isWellFormed())

const bytesOf = ({ bytes, start, end }: Tuple): Buffer => bytes.subarray(start, end)

test('texts, NULLs and arrays of any characters give the same tuple through COPY and through pgoutput', async () => {
  const database = await testDatabase()
  await database.query(`CREATE TABLE texts (id int PRIMARY KEY, a text, b varchar, c text[])`)
  await publish(database, 'texts')
  const rows = fc.sample(fc.tuple(fc.option(text), fc.option(text), fc.array(fc.option(text), { maxLength: 4 })), 500)
  for (const [id, cells] of rows.entries())
    await database.query('INSERT INTO texts VALUES ($1, $2, $3, $4)', [id, ...cells])

  const streamed = (await peek(database)).flatMap((frame) => {
    const message = decodeFrame(frame)!
    return message.tag === 'insert' ? [bytesOf(message.after)] : []
  })
  const session = await connect(database.url)
  const reader = copyReader(4)
  const copied: Buffer[] = []
  const stream = session.query(copyTo('COPY (SELECT * FROM texts ORDER BY id) TO STDOUT'))
  for await (const piece of stream as AsyncIterable<Buffer>) copied.push(...reader.push(piece).map(bytesOf))
  await session.end()
  await database.drop()

  expect(copied).toHaveLength(rows.length)
  for (const [id, tuple] of copied.entries())
    expect([id, tuple.toString('hex')]).toEqual([id, streamed[id]!.toString('hex')])
})
