import { expect, test } from 'vitest'
import { placeNote, placeOf, startOf, type Place } from '../../core/place.ts'
import { BEGINNING, position } from '../../core/position.ts'

const height = position(1, 0x16b374d848, 7)

test.each<[what: string, place: Place, start: number]>([
  ['that nothing streamed lies before', { next: 3, height: BEGINNING }, 3],
  ['between two transactions', { next: 30, height }, 30],
  ['inside a transaction', { next: 30, height, resume: 12 }, 12],
  ['inside a partition’s first transaction', { next: 30, height, resume: 0 }, 0],
])('a place %s comes back from its note, and says where to read on', (_, place, start) => {
  expect(placeOf(place.next, placeNote(place))).toEqual(place)
  expect(startOf(place)).toBe(start)
})

test.each(['', 'somebody else’s', 'x@3', '@3'])('a note that is none (%j) says nothing', (note) => {
  expect(placeOf(3, note)).toEqual({ next: 3, height: BEGINNING })
})
