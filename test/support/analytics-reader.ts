/**
 * A process of its own that opens the published copy again and again, as an analyst would:
 * `node analytics-reader.ts DIRECTORY MILLISECONDS`. Prints what it found as JSON.
 */
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'

const [directory, milliseconds] = process.argv.slice(2)
const halves: unknown[] = []
const states = new Set<string>()
let opened = 0
const until = Date.now() + Number(milliseconds)
while (Date.now() < until) {
  const instance = await DuckDBInstance.create(join(directory!, 'incidents.duckdb'), { access_mode: 'READ_ONLY' })
  const connection = await instance.connect()
  opened += 1
  const single = await connection.runAndReadAll(
    `SELECT status, count(*) FROM current_report GROUP BY status HAVING count(*) <> 2
     UNION ALL SELECT position[:22], count(*) FROM history_report GROUP BY ALL HAVING count(*) <> 2`,
  )
  halves.push(...single.getRows())
  const newest = await connection.runAndReadAll(`SELECT max(status::INTEGER), count(*) FROM current_report`)
  states.add(String(newest.getRows()[0]))
  connection.closeSync()
  instance.closeSync()
}
process.stdout.write(JSON.stringify({ opened, states: states.size, halves: halves.map(String) }))
