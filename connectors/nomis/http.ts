/** One request and its whole answer as text, over connections that are kept: what a hundred thousand incidents ask for twice. */
import { Agent as PlainAgent, request as plainRequest } from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'

export interface HttpRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Until the last byte of the answer. */
  readonly timeoutMs: number
}

export interface HttpAnswer {
  readonly status: number
  readonly text: string
}

const plain = new PlainAgent({ keepAlive: true })
const secure = new SecureAgent({ keepAlive: true })

/** Redirects are answers as any other. A TimeoutError when the answer is not whole in time, else what broke it off. */
export function httpRequest(url: URL, given: HttpRequest): Promise<HttpAnswer> {
  const { method = 'GET', headers, body, timeoutMs } = given
  const isSecure = url.protocol === 'https:'
  const request = isSecure ? secureRequest : plainRequest
  return new Promise<HttpAnswer>((resolve, reject) => {
    const sent = request(url, { method, agent: isSecure ? secure : plain, headers: { ...headers } }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('error', fail)
      response.on('end', () => {
        clearTimeout(timer)
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString() })
      })
    })
    const timer = setTimeout(() => fail(new DOMException('not answered in time', 'TimeoutError')), timeoutMs)
    function fail(error: Error): void {
      clearTimeout(timer)
      reject(error)
      sent.destroy()
    }
    sent.on('error', fail)
    sent.end(body)
  })
}
