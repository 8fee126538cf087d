/** The API, asked in the reader's name. */
export interface ApiAnswer<T> {
  readonly status: number
  /** Null unless the status is 2xx. */
  readonly body: T | null
  /** The API's own sentence for a person; null when it answered. */
  readonly message: string | null
  /** The API's code for why not, as of a conflict; null when it gave none. */
  readonly errorCode: number | null
  /** `X-Data-As-Of`; null when it has none. */
  readonly asOf: string | null
  readonly lsn: string | null
}

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly body?: unknown
  /** Kept with the audit record. */
  readonly reason?: string
  /** Waits until the store has seen this position. */
  readonly atLeast?: string
  /** The modifiedAt that was read: somebody else's change since then is a conflict. */
  readonly ifMatch?: string
}

export interface ApiClient {
  /** Status 503 when the API does not answer. */
  <T>(path: string, request?: ApiRequest): Promise<ApiAnswer<T>>
}

interface Refused {
  readonly userMessage?: string | null
  readonly errorCode?: number | null
}

const ANSWER_MS = 15_000

export function apiClient(apiUrl: string, token: string | null): ApiClient {
  return async <T>(
    path: string,
    { method = 'GET', body, reason, atLeast, ifMatch }: ApiRequest = {},
  ): Promise<ApiAnswer<T>> => {
    const answer = await fetch(new URL(path, apiUrl), {
      method,
      headers: {
        accept: 'application/json',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(reason === undefined ? {} : { 'x-reason': inOneLine(reason) }),
        ...(atLeast === undefined ? {} : { 'if-source-lsn-at-least': atLeast }),
        ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS),
    }).catch(() => null)
    if (answer === null) {
      return { status: 503, body: null, message: 'The API does not answer.', errorCode: null, asOf: null, lsn: null }
    }
    const said: unknown = await answer.json().catch(() => null)
    const { userMessage: message = null, errorCode = null } = (answer.ok ? {} : (said ?? {})) as Refused
    return {
      status: answer.status,
      body: answer.ok ? (said as T) : null,
      message: answer.ok ? null : (message ?? `The API answered ${answer.status}.`),
      errorCode,
      asOf: answer.headers.get('x-data-as-of'),
      lsn: answer.headers.get('x-source-lsn'),
    }
  }
}

/** As a header can carry it, and the API keeps it. */
function inOneLine(reason: string): string {
  return encodeURIComponent(reason.toWellFormed().replaceAll(/\s+/g, ' '))
}
