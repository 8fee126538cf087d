/**
 * Where a change sits in its source's history, written so that plain text order is history order:
 * `epoch/commit LSN/ordinal` as 4, 16 and 8 hex digits.
 *
 * The epoch rises when an operator accepts a source whose history is not the old one. The LSN is that of
 * the commit record, never of the row: many rows of one statement can share a row LSN. The ordinal counts
 * the changes of one transaction from 1; 0 is for markers and for rows read outside the stream, so that such
 * a row is older than any streamed change of the same LSN.
 */
export type Position = string & { readonly brand: 'Position' }

/** An LSN as a number: exact, because a server would have to write 8 PiB of WAL to leave the safe integers. */
export type Lsn = number

/** Older than every position. */
export const BEGINNING = '' as Position

/** How long the part is that the positions of one transaction have in common. */
const PREFIX = 22

const POSITION = /^[0-9a-f]{4}\/[0-9a-f]{16}\/[0-9a-f]{8}$/

/** The position of the `ordinal`th change of the transaction whose commit record is at `lsn`. */
export function position(epoch: number, lsn: Lsn, ordinal: number): Position {
  return (transactionPrefix(epoch, lsn) + hex(ordinal, 8)) as Position
}

/** All but the ordinal, slash included: what the positions of one transaction have in common. */
export function transactionPrefix(epoch: number, lsn: Lsn): string {
  return `${hex(epoch, 4)}/${hex(lsn, 16)}/`
}

/** Whether both positions belong to one transaction of one epoch. */
export function sameTransaction(a: Position, b: Position): boolean {
  if (a.length < PREFIX || b.length < PREFIX) return a === b
  // from the end: what differs is the LSN's last digits, and two texts cut out would cost more than the comparison
  for (let i = PREFIX - 1; i >= 0; i--) if (a.charCodeAt(i) !== b.charCodeAt(i)) return false
  return true
}

/** Above everything before its transaction, below everything in it. */
export function beforeTransaction(p: Position): Position {
  return `${p.slice(0, 22)}00000000` as Position
}

export function isPosition(text: string): text is Position {
  return POSITION.test(text)
}

export function epochOf(p: Position): number {
  return Number.parseInt(p.slice(0, 4), 16)
}

export function lsnOf(p: Position): Lsn {
  return Number.parseInt(p.slice(5, 21), 16)
}

export function ordinalOf(p: Position): number {
  return Number.parseInt(p.slice(22), 16)
}

/** As PostgreSQL prints it: `16/B374D848`. */
export function lsnText(lsn: Lsn): string {
  return `${Math.floor(lsn / 0x1_0000_0000).toString(16)}/${(lsn % 0x1_0000_0000).toString(16)}`.toUpperCase()
}

/** The inverse of {@link lsnText}. */
export function parseLsn(text: string): Lsn {
  const [high = '', low = ''] = text.split('/')
  return Number.parseInt(high, 16) * 0x1_0000_0000 + Number.parseInt(low, 16)
}

function hex(n: number, width: number): string {
  return n.toString(16).padStart(width, '0')
}
