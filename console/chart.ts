/** Charts of counts, drawn here as SVG: bars beside their names, and what is said instead of a small number. */
export interface Bar {
  readonly label: string
  /** Null where the number is withheld. */
  readonly value: number | null
}

export interface DrawnBar extends Bar {
  readonly y: number
  readonly width: number
}

export interface Chart {
  readonly title: string
  readonly width: number
  readonly height: number
  readonly bars: readonly DrawnBar[]
  /** How many are not drawn. */
  readonly left: number
}

export const FEW = 5
const WIDTH = 340
const ROW = 26
const MOST = 30

/** Counts of 5 and fewer are withheld. */
export function suppressed(count: number): number | null {
  return count <= FEW ? null : count
}

export function chart(title: string, given: readonly Bar[]): Chart {
  const bars = given.slice(0, MOST)
  const most = Math.max(1, ...bars.map(({ value }) => value ?? 0))
  return {
    title,
    width: WIDTH,
    height: Math.max(1, bars.length) * ROW,
    left: given.length - bars.length,
    bars: bars.map((bar, i) => ({ ...bar, y: i * ROW, width: Math.round(((bar.value ?? 0) / most) * 130) })),
  }
}
