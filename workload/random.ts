/** Chance that can be repeated: the same seed gives the same values on every machine. */

export interface Random {
  /** From 0 up to, but not, 1. */
  next(): number
  /** A whole number, both ends included. */
  int(from: number, to: number): number
  chance(probability: number): boolean
  pick<T>(items: readonly T[]): T
  /** Picks by weight. */
  weighted<T>(items: readonly (readonly [T, number])[]): T
  /** So many different items in the order given; all of them when there are fewer. */
  sample<T>(items: readonly T[], count: number): T[]
  /** A version 7 UUID of that time (milliseconds since the Unix epoch). */
  uuid(time: number): string
}

/** A generator for each thing that the parts name, so that one thing more does not change all the others. */
export function random(...parts: readonly (number | string)[]): Random {
  let state = hash(parts.join('/'))

  // mulberry32
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const int = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1))
  const pick = <T>(items: readonly T[]): T => {
    if (items.length === 0) throw new RangeError('nothing to pick from')
    return items[Math.floor(next() * items.length)]!
  }

  return {
    next,
    int,
    chance: (probability) => next() < probability,
    pick,
    weighted: (items) => {
      let left = next() * items.reduce((sum, [, weight]) => sum + weight, 0)
      for (const [item, weight] of items) {
        left -= weight
        if (left < 0) return item
      }
      return items.at(-1)![0]
    },
    sample: (items, count) => {
      let wanted = Math.min(count, items.length)
      return items.filter((_, i) => {
        const taken = next() * (items.length - i) < wanted
        if (taken) wanted -= 1
        return taken
      })
    },
    uuid: (time) => {
      const hex = time.toString(16).padStart(12, '0')
      const digits = (count: number): string =>
        Math.floor(next() * 16 ** count)
          .toString(16)
          .padStart(count, '0')
      return `${hex.slice(0, 8)}-${hex.slice(8)}-7${digits(3)}-${pick(['8', '9', 'a', 'b'])}${digits(3)}-${digits(6)}${digits(6)}`
    },
  }
}

/** A 32-bit number of a text (FNV-1a). */
export function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value >>> 0
}
