/**
 * How DPR's raw zone is written down: file names, commit times and the column that orders changes
 * (rules dpr.names, dpr.timestamp).
 */

/** A load file's name: a hex counter from 1, without a dash so that it is never taken for a file of changes. */
export function loadFileName(number: number): string {
  return `LOAD${number.toString(16).toUpperCase().padStart(8, '0')}.parquet`
}

/** A change file's name, from milliseconds since the Unix epoch: `20240506-123456789.parquet`, UTC. */
export function changeFileName(stamp: number): string {
  const digits = new Date(stamp).toISOString().replaceAll(/\D/g, '')
  return `${digits.slice(0, 8)}-${digits.slice(8, 17)}.parquet`
}

let secondOfText = Number.NaN
let secondText = ''
/** The changes of a transaction have their time in common. */
let microsOfText = Number.NaN
let microsText = ''

/** `_timestamp`, from microseconds since the Unix epoch: `2024-05-06 12:34:56.123456`, UTC. */
export function timestampText(micros: number): string {
  if (micros === microsOfText) return microsText
  const second = Math.floor(micros / 1_000_000)
  if (second !== secondOfText) {
    secondOfText = second
    secondText = new Date(second * 1000).toISOString().slice(0, 19).replace('T', ' ')
  }
  microsOfText = micros
  microsText = `${secondText}.${String(micros - second * 1_000_000).padStart(6, '0')}`
  return microsText
}

/** A commit time in the unit of `checkpoint_col`: hundredths of a second since the Unix epoch. */
export function hundredths(micros: number): number {
  return Math.floor(micros / 10_000)
}

let clockOfText = Number.NaN
let clockText = ''

/**
 * `checkpoint_col`: 16 digits of time (`yyyyMMddHHmmss` and hundredths) and 19 of the change's place in the WAL, so that
 * text order is the order of changes and a 14-digit time of DPR's own reloads sorts among them.
 */
export function checkpointText(clock: number, number: number): string {
  if (clock !== clockOfText) {
    clockOfText = clock
    clockText = new Date(clock * 10).toISOString().replaceAll(/\D/g, '').slice(0, 16)
  }
  return clockText + String(number).padStart(19, '0')
}
