/** A gate before S3 that can refuse to write, as S3 and what stands in for it do: with a status and a code. */
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface S3Gate {
  readonly endpoint: string
  /** Whatever would change something is refused from now on. */
  refuseWrites(status: number, code: string): void
  open(): void
  close(): void
}

export async function s3Gate(target: string): Promise<S3Gate> {
  let refusal: { readonly status: number; readonly code: string } | null = null
  const { hostname, port } = new URL(target)
  const server = createServer((asked, answer) => {
    if (refusal !== null && asked.method !== 'GET' && asked.method !== 'HEAD') {
      asked.resume()
      answer.writeHead(refusal.status, { 'content-type': 'application/xml', connection: 'close' })
      answer.end(`<Error><Code>${refusal.code}</Code><Message>refused</Message></Error>`)
      return
    }
    const { method, url, headers } = asked
    const onward = request({ hostname, port, method, path: url, headers }, (answered) => {
      answer.writeHead(answered.statusCode!, answered.rawHeaders)
      answered.pipe(answer)
    })
    onward.on('error', () => answer.destroy())
    asked.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    refuseWrites: (status, code) => (refusal = { status, code }),
    open: () => (refusal = null),
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
