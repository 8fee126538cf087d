/**
 * A NOMIS incident's changes of type. They have no number in the payload: time and type tell which is which
 * (rule nomis.sync).
 */
import type { NomisHistoryRows, NomisRows } from '../schemas/nomis-rows.ts'
import { DELETE_HISTORY, UPSERT_HISTORY } from './nomis-statements.ts'
import type { Sql } from './source.ts'

export async function insertHistories(sql: Sql, { histories }: NomisRows): Promise<void> {
  if (histories.length === 0) return
  await write(
    sql,
    histories.map((each) => ({ each, id: null })),
  )
}

/** How many rows it wrote. */
export async function upsertHistories(sql: Sql, incidentId: number, { histories }: NomisRows): Promise<number> {
  const held = await sql<{ id: number; key: string }>(
    `SELECT incident_questionnaire_id AS id, to_char(change_date, 'YYYY-MM-DD"T"HH24:MI:SS') || ' ' || type AS key
       FROM nomis.incident_questionnaire_hty WHERE incident_case_id = $1 ORDER BY 1`,
    [incidentId],
    'incidents sync histories',
  )
  const left = held.map((each) => ({ ...each }))
  const matched = histories.map((each) => {
    const at = left.findIndex(
      ({ key }) => key === `${String(each.history['change_date'])} ${String(each.history['type'])}`,
    )
    return { each, id: at === -1 ? null : left.splice(at, 1)[0]!.id }
  })
  if (left.length > 0) await sql(DELETE_HISTORY, [left.map(({ id }) => id)])
  return left.length + (matched.length === 0 ? 0 : await write(sql, matched))
}

async function write(
  sql: Sql,
  matched: readonly { readonly each: NomisHistoryRows; readonly id: number | null }[],
): Promise<number> {
  const fresh = matched.filter(({ id }) => id === null).length
  const ids = await sql<{ id: number }>(
    `SELECT nextval('nomis.incident_questionnaire_id') AS id FROM generate_series(1, $1::int)`,
    [fresh],
  )
  const numbered = matched.map(({ each, id }) => ({ each, id: { incident_questionnaire_id: id ?? ids.shift()!.id } }))
  const [changed] = await sql<{ written: number }>(UPSERT_HISTORY, [
    JSON.stringify(numbered.map(({ each, id }) => ({ ...id, ...each.history }))),
    JSON.stringify(numbered.flatMap(({ each, id }) => each.questions.map((row) => ({ ...id, ...row })))),
    JSON.stringify(numbered.flatMap(({ each, id }) => each.responses.map((row) => ({ ...id, ...row })))),
    numbered.map(({ id }) => id.incident_questionnaire_id),
  ])
  return changed!.written
}
