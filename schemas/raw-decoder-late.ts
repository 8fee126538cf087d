/** Changes whose images stay bytes until they are asked for. Of the images that were read only the last ones are kept. */
import type { OmittedValue, Op, Origin, Row, RowChange, Table } from '../core/change.ts'
import type { Position } from '../core/position.ts'
import type { Images } from './raw-decoder-images.ts'

/** Where a record's images lie. */
export interface ImagesAt {
  readonly image: Images
  readonly bytes: Buffer
  readonly beforeAt: number
  readonly afterAt: number
}

interface Head {
  readonly op: Op
  readonly table: Table
}

export interface LateImages {
  change(
    at: ImagesAt,
    head: Head,
    origin: Origin,
    reference: string | null,
    omitted: readonly OmittedValue[] | undefined,
  ): RowChange
}

/** Its changes share what they remember: whoever goes from change to change reads each image once. */
export function lateImages(): LateImages {
  const read: LastRead = { before: null, after: null, beforeOf: null, afterOf: null }
  return {
    change: (at, head, origin, reference, omitted) => {
      const change = new LateChange(read, at, head, origin, reference)
      return omitted === undefined ? change : Object.assign(change, { omitted })
    },
  }
}

interface LastRead {
  before: Row | null
  beforeOf: LateChange | null
  after: Row | null
  afterOf: LateChange | null
}

/** Its fields are plain ones, so that a copy with this prototype is as good. */
class LateChange implements RowChange {
  readonly op: Op
  readonly table: Table
  readonly reference: string | null
  readonly position: Position
  readonly lsn: number
  readonly streamedTo: Position
  readonly committedAt: number
  readonly txId: number
  readonly lastInTransaction: boolean
  readonly partition: number
  readonly offset: number
  readonly bytes: number
  private readonly read: LastRead
  private readonly image: Images
  private readonly record: Buffer
  private readonly beforeAt: number
  private readonly afterAt: number

  constructor(read: LastRead, at: ImagesAt, { op, table }: Head, origin: Origin, reference: string | null) {
    this.op = op
    this.table = table
    this.reference = reference
    this.position = origin.position
    this.lsn = origin.lsn
    this.streamedTo = origin.streamedTo
    this.committedAt = origin.committedAt
    this.txId = origin.txId
    this.lastInTransaction = origin.lastInTransaction
    this.partition = origin.partition
    this.offset = origin.offset
    this.bytes = origin.bytes
    this.read = read
    this.image = at.image
    this.record = at.bytes
    this.beforeAt = at.beforeAt
    this.afterAt = at.afterAt
  }

  get before(): Row | null {
    const { read } = this
    if (read.beforeOf === this) return read.before
    read.before = this.image.read({ bytes: this.record, at: this.beforeAt })
    read.beforeOf = this
    return read.before
  }

  get after(): Row | null {
    const { read } = this
    if (read.afterOf === this) return read.after
    read.after = this.image.read({ bytes: this.record, at: this.afterAt })
    read.afterOf = this
    return read.after
  }
}
