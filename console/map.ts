/** The drawn map: where each hop stands, and the lines between them. Units are CSS pixels at the map's own width. */
import { curve } from './ring.ts'
import { HOPS, type Hop, type HopSample, type PipelineNow } from './hops.ts'

export interface MapNode {
  readonly hop: Hop
  readonly title: string
  readonly x: number
  readonly y: number
  readonly sample: HopSample
  /** Points of the rate's line. */
  readonly line: string
}

export interface PipelineMap {
  readonly width: number
  readonly height: number
  readonly boxWidth: number
  readonly boxHeight: number
  readonly nodes: readonly MapNode[]
  /** Paths. */
  readonly edges: readonly string[]
}

export const TITLES: Readonly<Record<Hop, string>> = {
  source: 'Source',
  capture: 'Capture',
  raw: 'Raw topic',
  unify: 'Unify',
  governed: 'Governed topics',
  'dpr-raw': 'DPR raw zone',
  operational: 'Operational store',
  analytics: 'Analytics',
  api: 'API',
}

const BOX = { width: 164, height: 96 }
const GAP = { x: 35, y: 14 }
const EDGES: readonly (readonly [Hop, Hop])[] = [
  ['source', 'capture'],
  ['capture', 'raw'],
  ['raw', 'unify'],
  ['raw', 'dpr-raw'],
  ['raw', 'operational'],
  ['raw', 'analytics'],
  ['unify', 'governed'],
  ['operational', 'api'],
]

/** Column and row of each hop. */
const WIDE: Readonly<Record<Hop, readonly [number, number]>> = {
  source: [0, 1.5],
  capture: [1, 1.5],
  raw: [2, 1.5],
  unify: [3, 0],
  'dpr-raw': [3, 1],
  operational: [3, 2],
  analytics: [3, 3],
  governed: [4, 0],
  api: [4, 2],
}

/** Two columns for a phone: the raw topic's readers hang on a line at the left. */
const NARROW: Readonly<Record<Hop, readonly [number, number]>> = {
  source: [0, 0],
  capture: [1, 0],
  raw: [0, 1],
  unify: [0, 2],
  governed: [1, 2],
  'dpr-raw': [0, 3],
  operational: [0, 4],
  api: [1, 4],
  analytics: [0, 5],
}

export function pipelineMap(now: PipelineNow, form: 'wide' | 'narrow'): PipelineMap {
  const latest = now.samples.at(-1)
  const [places, gapX, left] = form === 'wide' ? [WIDE, GAP.x, 0] : [NARROW, 14, 14]
  const box = form === 'wide' ? BOX : { width: 156, height: BOX.height }
  const at = (hop: Hop): { x: number; y: number } => {
    const [column, row] = places[hop]
    return { x: left + 1 + column * (box.width + gapX), y: 1 + row * (box.height + GAP.y) }
  }
  const columns = Math.max(...HOPS.map((hop) => places[hop][0])) + 1
  const rows = Math.max(...HOPS.map((hop) => places[hop][1])) + 1
  return {
    width: left + 2 + columns * box.width + (columns - 1) * gapX,
    height: 2 + rows * box.height + (rows - 1) * GAP.y,
    boxWidth: box.width,
    boxHeight: box.height,
    nodes: HOPS.flatMap((hop) => {
      const sample = latest?.hops[hop]
      if (sample === undefined) return []
      const rates = now.samples.map(({ hops }) => hops[hop].rowsPerSecond)
      return [{ hop, title: TITLES[hop], ...at(hop), sample, line: sparkline(rates, box.width - 20, 20) }]
    }),
    edges: EDGES.map(([from, to]) => edge(form, at(from), at(to), box)),
  }
}

interface Point {
  readonly x: number
  readonly y: number
}

function edge(form: 'wide' | 'narrow', from: Point, to: Point, box: { width: number; height: number }): string {
  const middle = box.height / 2
  const [y1, y2] = [from.y + middle, to.y + middle]
  if (to.x > from.x) {
    const [x1, x2] = [from.x + box.width, to.x]
    const turn = (x1 + x2) / 2
    return `M${x1} ${y1} H${turn} V${y2} H${x2}`
  }
  if (form === 'narrow' && to.y - from.y <= box.height + GAP.y && to.x < from.x) {
    // from the right column down to the left one
    const [x1, x2] = [from.x + middle, to.x + box.width]
    return `M${x1} ${from.y + box.height} V${y2} H${x2}`
  }
  return `M${from.x} ${y1} H${from.x - 8} V${y2} H${to.x}`
}

/** The points of an SVG polyline; none when nothing passed. */
export function sparkline(rates: readonly (number | null)[], width: number, height: number): string {
  const values = curve(rates, Math.floor(width / 2))
  if (values.length < 2) return ''
  const step = width / (values.length - 1)
  return values.map((value, i) => `${(i * step).toFixed(1)},${(height - value * height).toFixed(1)}`).join(' ')
}
