/** How much of the topic each sink is given at a time: what hands it on needs to know before the sink's code is loaded. */
import type { SinkName } from './names.ts'

/**
 * What a feed should be grouped by before DPR's raw zone. The age is DMS's (rule dpr.flush); the size is less than its
 * 120 MB, since a flush is held in memory as rows, at some ten times its size in the topic.
 */
export const DPR_FLUSH = { ageMs: 10_000, bytes: 32_000_000 } as const

/**
 * What a feed should be grouped by before analytics: some 13,000 changes, whose statements then cost little a row. What
 * is being written and what is read ahead meanwhile are held in memory.
 */
const ANALYTICS_WRITE_BYTES = 4 << 20

/** How much of the topic one write takes at most. */
export const WRITE_BYTES: Readonly<Record<SinkName, number>> = {
  'dpr-raw': DPR_FLUSH.bytes,
  operational: 8 << 20,
  analytics: ANALYTICS_WRITE_BYTES,
}
