/** Pages as the present service gives them. */
import { z } from 'zod'

/** The schema of a page of these. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({
    content: z.array(item),
    number: z.int().describe('The page, from 0.'),
    size: z.int().describe('How many a page holds.'),
    totalElements: z.int(),
    totalPages: z.int(),
    numberOfElements: z.int().describe('How many this page has.'),
    sort: z.array(z.string()).describe('What it is sorted by: property,DIRECTION.'),
  })
}

export interface Paged {
  readonly number: number
  readonly size: number
  readonly total: number
  readonly sort: string[]
}

export function page<T>(content: T[], { number, size, total, sort }: Paged) {
  return {
    content,
    number,
    size,
    totalElements: total,
    totalPages: Math.ceil(total / size),
    numberOfElements: content.length,
    sort,
  }
}
