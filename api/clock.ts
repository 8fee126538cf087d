/** The present moment as the incident database writes it: London wall time without zone. */

export type Clock = () => Date

const LONDON = new Intl.DateTimeFormat('sv-SE', {
  timeZone: 'Europe/London',
  dateStyle: 'short',
  timeStyle: 'medium',
})

/** `2024-07-01T12:34:56.789` */
export function londonTime(now: Date): string {
  return `${LONDON.format(now).replace(' ', 'T')}.${String(now.getMilliseconds()).padStart(3, '0')}`
}

/** `2024-07-01` */
export function londonDate(now: Date): string {
  return londonTime(now).slice(0, 10)
}
