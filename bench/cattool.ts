/** CatTool's sequence of calls (rule service.cattool) over all of its hundred sockets at once, each call timed. */
import type { Asker } from './open-loop.ts'

/** As many sequences at a time as its agent has sockets. */
const AT_ONCE = 100

const QUERY = [
  [
    'involvingPrisonerRole',
    'ACTIVE_INVOLVEMENT ASSAILANT FIGHTER IMPEDED_STAFF PERPETRATOR SUSPECTED_ASSAILANT SUSPECTED_INVOLVED',
  ],
  ['type', 'ASSAULT_1 ASSAULT_5'],
  ['status', 'AWAITING_REVIEW ON_HOLD NEEDS_UPDATING UPDATED CLOSED WAS_CLOSED'],
] as const
const FILTERS = QUERY.flatMap(([name, values]) => values.split(' ').map((value) => `${name}=${value}`)).join('&')

interface Page {
  readonly totalElements: number
  readonly content: readonly { readonly id: string }[]
}

/** Milliseconds of each call. Rejects when an answer is not 200. */
export async function catTool(to: Asker, prisoners: readonly string[], seconds: number): Promise<number[]> {
  const times: number[] = []
  const until = performance.now() + seconds * 1000
  let next = 0
  const ask = async (path: string): Promise<Page> => {
    const begun = performance.now()
    const { status, body } = await to.get(path)
    times.push(performance.now() - begun)
    if (status !== 200) throw new Error(`${status} for a call of CatTool's`)
    return JSON.parse(body) as Page
  }
  const worker = async (): Promise<void> => {
    while (performance.now() < until) {
      const list = `/incident-reports?involvingPrisonerNumber=${prisoners[next++ % prisoners.length]}&${FILTERS}`
      const { totalElements } = await ask(`${list}&size=1`)
      if (totalElements === 0) continue
      const recent = new Date()
      recent.setUTCFullYear(recent.getUTCFullYear() - 1)
      const from = recent.toISOString().slice(0, 10)
      const { content } = await ask(`${list}&incidentDateFrom=${from}&size=${totalElements}`)
      for (const { id } of content) await ask(`/incident-reports/${id}/with-details`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return times
}
