/** A reconciliation's report as one page: everything in it, nothing to run, readable by every means. */
import type { PlaceResult } from './reconcile.ts'
import type { SignedReport } from './report.ts'

export function reportPage({ report, digest, signature }: SignedReport): string {
  const { result, writtenAt, namespace } = report
  const outcome = result.differing === 0 ? 'No row differs' : `${result.differing} rows differ`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(outcome)} at LSN ${text(result.lsn)}</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; color: #0b0c0c; background: #fff; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin-bottom: 2rem }
caption { text-align: left; font-weight: bold; padding-bottom: .5rem }
th, td { text-align: left; border-bottom: 1px solid #b1b4b6; padding: .25rem .75rem .25rem 0; vertical-align: top }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
code { overflow-wrap: anywhere }
.warning { border-left: .5rem solid #d4351c; padding: .5rem 1rem; font-weight: bold }
</style>
</head>
<body>
<main>
<h1>${text(outcome)}</h1>
${signature === null ? '<p class="warning">NOT SIGNED: nobody vouches for this report.</p>' : ''}
<dl>
${definition('Pipeline', namespace)}
${definition('Written at', writtenAt)}
${definition('Fence (LSN)', result.lsn)}
${definition('Rows of the source', result.rows.toLocaleString('en'))}
${definition('Rows that could not be mapped', String(result.incomplete))}
${definition('Rows left out as copies of DPS reports', String(result.copies))}
${definition('Rows that kept changing', String(result.unsettled))}
${definition('Records that cannot be read', result.unreadable.length === 0 ? 'none' : result.unreadable.join(', '))}
${definition('Seconds', String(result.seconds))}
</dl>
<table>
<caption>Every place against the source</caption>
<thead><tr><th scope="col">Place</th><th scope="col">Table or entity</th><th scope="col" class="number">Rows</th>
<th scope="col" class="number">Differing</th><th scope="col" class="number">Unsettled</th></tr></thead>
<tbody>
${result.places.map(placeRow).join('\n')}
</tbody>
</table>
${differences(result.places)}
<h2>How to check this report</h2>
<p>The JSON file beside this page is what counts; <code>incidents reconcile --verify FILE</code> checks it.</p>
<dl>
${definition('SHA-256 of the report', digest)}
${signature === null ? '' : definition('Signed by the key', `${signature.algorithm} ${signature.keyFingerprint}`)}
${signature === null ? '' : definition('Signature', signature.value)}
</dl>
</main>
</body>
</html>
`
}

function placeRow({ place, entity, rows, differing, unsettled }: PlaceResult): string {
  const number = (n: number): string => `<td class="number">${n.toLocaleString('en')}</td>`
  return `<tr><td>${text(place)}</td><td>${text(entity)}</td>${number(rows)}${number(differing)}${number(unsettled)}</tr>`
}

function differences(places: readonly PlaceResult[]): string {
  const rows = places.flatMap(({ place, entity, keys }) =>
    keys.map(
      ({ key, why, columns, source, place: at }) =>
        `<tr><td>${text(place)}</td><td>${text(entity)}</td><td><code>${text(key)}</code></td><td>${why}</td>` +
        `<td>${text(columns.join(', '))}</td><td><code>${text(source?.position ?? '')}</code></td>` +
        `<td><code>${text(at ?? '')}</code></td></tr>`,
    ),
  )
  if (rows.length === 0) return ''
  return `<table>
<caption>Rows that differ</caption>
<thead><tr><th scope="col">Place</th><th scope="col">Table or entity</th><th scope="col">Key</th><th scope="col">Why</th>
<th scope="col">Columns</th><th scope="col">Position in the source</th><th scope="col">Position in the place</th></tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>`
}

function definition(term: string, value: string): string {
  return `<dt>${text(term)}</dt><dd><code>${text(value)}</code></dd>`
}

function text(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
