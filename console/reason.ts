/** The reason for an act, as the API takes it. */
const LEAST = 5
const MOST = 500

/** What is wrong with a reason; null when nothing is. `sent` is the whole of what is sent, where it is more. */
export function reasonProblem(reason: string, sent = reason): string | null {
  if (reason.length < LEAST) return `Say why, in at least ${LEAST} characters.`
  return sent.length > MOST ? 'Say why in fewer words.' : null
}
