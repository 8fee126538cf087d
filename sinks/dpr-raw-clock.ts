/**
 * `checkpoint_col` of each folder's changes: it never falls in a folder, and rises with each state of a row
 * (rule dpr.checkpoint).
 */
import { isStreamed, type RowChange } from '../core/change.ts'
import { checkpointText, hundredths } from './dpr-raw-names.ts'

export interface Clock {
  /** The change's text in this folder. */
  checkpoint(change: RowChange): string
  /** What the folder's next clock starts from. */
  time(): number
}

/**
 * A row that moved between incidents is a delete and an insert of one WAL record: an insert counts one more, and the
 * records of the WAL are eight bytes apart. A row read outside the stream has the LSN of its snapshot, which a change
 * that committed later may have been written before: it shares its hundredth with no streamed change after it.
 */
export function folderClock(start: number): Clock {
  let time = start
  let read = false
  return {
    checkpoint: (change) => {
      if (!isStreamed(change)) read = true
      else if (read) {
        time += 1
        read = false
      }
      time = Math.max(time, hundredths(change.committedAt))
      return checkpointText(time, change.op === 'c' ? change.lsn + 1 : change.lsn)
    },
    time: () => (read ? time + 1 : time),
  }
}
