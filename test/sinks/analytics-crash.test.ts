import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { pairsAfter, pairTransaction } from '../support/analytics-load.ts'
import { ask, openAnalytics, reports, temporaryDirectory } from '../support/analytics.ts'

/** Runs the writer and kills it the hard way at a random moment behind its `count`th line; resolves to its last line. */
async function writeAndKill(directory: string, count: number): Promise<number> {
  const writer = spawn(process.execPath, ['test/support/analytics-writer.ts', directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let lines = 0
  let acknowledged = 0
  for await (const line of createInterface({ input: writer.stdout })) {
    acknowledged = Number(line)
    lines += 1
    if (lines === count) setTimeout(() => writer.kill('SIGKILL'), Math.random() * 200)
  }
  return acknowledged
}

test('kill -9 loses nothing that was acknowledged, shows no half, and a replay ends in the same state', async () => {
  const directory = temporaryDirectory()
  let transactions = 0
  for (let kill = 0; kill < 3; kill += 1) {
    const acknowledged = await writeAndKill(directory, 20)
    const halves = 'SELECT status FROM current_report GROUP BY status HAVING count(*) <> 2'
    expect(await ask(directory, halves)).toEqual([])
    const sink = await openAnalytics(directory)
    const next = (await sink.places([0])).get(0)!.next
    transactions = next / 2
    expect(transactions).toBeGreaterThanOrEqual(acknowledged)
    expect(Number.isInteger(transactions)).toBe(true)
    expect(await reports(sink)).toEqual(pairsAfter(transactions))
    await sink.close()
  }

  const replay = await openAnalytics(directory)
  await replay.write(Array.from({ length: transactions + 5 }, (_, n) => pairTransaction(n)).flat())
  expect(await reports(replay)).toEqual(pairsAfter(transactions + 5))
  await replay.close()
  const changes = String(2 * (transactions + 5))
  expect(await ask(directory, 'SELECT count(*), count(DISTINCT (id, position)) FROM history_report')).toEqual([
    [changes, changes],
  ])
})
