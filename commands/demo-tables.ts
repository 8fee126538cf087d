/** The demo's two tables as text. */
import type { Proof } from '../proof/proof.ts'
import type { Hop } from '../proof/walk.ts'

export function walkTable(hops: readonly Hop[]): string {
  return table(
    ['hop', 'what', 'value', 'function · file'],
    hops.map((hop) => [String(hop.hop), hop.what, hop.value, hop.where]),
  )
}

/** One line an entity, one column a place: rows, and behind a slash how many differ where any does. */
export function proofTable(proof: Proof): string {
  const places = [...new Set(proof.places.map((each) => each.place))]
  const entities = [...new Set(proof.places.map((each) => each.entity))]
  const cells = new Map(proof.places.map((each) => [`${each.place} ${each.entity}`, each]))
  const rows = entities.map((entity) => [
    entity,
    String(proof.source.get(entity) ?? 0),
    ...places.map((place) => {
      const cell = cells.get(`${place} ${entity}`)
      if (cell === undefined) return ''
      return cell.differing === 0 ? String(cell.rows) : `${cell.rows} / ${cell.differing} differ: ${cell.keys[0]}`
    }),
  ])
  const total = proof.places.reduce((sum, each) => sum + each.rows, 0)
  return [
    'Rows by entity: the source, and every place compared with it by key and content',
    '',
    table(['entity', 'source', ...places], rows),
    '',
    `${total.toLocaleString('en')} rows compared, ${proof.differing} differing; ` +
      `${proof.incomplete} source rows in the dead letters, ${proof.copies} NOMIS copies of DPS reports left out.`,
  ].join('\n')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd()
  return [line(head), line(widths.map((width) => '─'.repeat(width))), ...rows.map(line)].join('\n')
}
