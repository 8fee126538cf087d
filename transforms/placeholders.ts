/** What the sources write where they know nothing. In the unified model it is an absence. */

/** The synchronisation's text for a title, a description or a comment that NOMIS does not have. */
const NO_DETAILS = 'NO DETAILS GIVEN'
/** The synchronisation's username for a member of staff without an account. */
const NO_ACCOUNT = 'unknown'
/** The synchronisation's own username, under which it wrote the additions of NOMIS. */
const SYNCHRONISATION = 'INCIDENT_REPORTING_API'
/** The synchronisation's text of an answer id that NOMIS does not have. */
const NO_CODE = 'null'

/** A text, or null where the source holds none or a placeholder. */
export function details(text: string | null): string | null {
  return text === NO_DETAILS ? null : text
}

/** A username, or null where the source holds none or a placeholder. */
export function username(text: string | null): string | null {
  return text === NO_ACCOUNT ? null : text
}

/** The username of who added to a description, or null where the source holds none or a placeholder. */
export function author(text: string | null): string | null {
  return text === SYNCHRONISATION ? null : username(text)
}

/** An answer's code, or null where the source holds none or a placeholder. */
export function answerCode(text: string | null): string | null {
  return text === NO_CODE ? null : text
}
