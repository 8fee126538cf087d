/** What a query or a form holds. */

/** Of a query or a form: the last value where a name stands more than once. */
export function text(value: unknown): string {
  const last: unknown = [value].flat().at(-1)
  return typeof last === 'string' ? last.trim() : ''
}

/** Browsers send line ends as CRLF, whatever was there. */
export function formText(value: unknown): string {
  return text(value).replaceAll('\r\n', '\n')
}

/** Every value of a name that stands more than once, in order. */
export function textsOf(value: unknown): string[] {
  return [value ?? []].flat().map(formText)
}
