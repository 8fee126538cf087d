/** A request and its whole answer, or why there is none. */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { httpRequest } from '../../../connectors/nomis/http.ts'

let server: Server
let connections = 0

afterEach(() => {
  server.closeAllConnections()
  server.close()
})

async function serve(answer: RequestListener): Promise<URL> {
  connections = 0
  server = createServer(answer)
  server.on('connection', () => (connections += 1))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/path?a=b`)
}

test('method, path, headers and body arrive; status and text come back, whatever the status', async () => {
  const url = await serve((request, response) => {
    const { method, url: path, headers } = request
    let body = ''
    request.on('data', (piece: Buffer) => (body += piece.toString()))
    request.on('end', () => {
      const length = headers['content-length']
      response.writeHead(307, { location: '/elsewhere' })
      response.end(JSON.stringify({ method, path, authorization: headers.authorization, length, body }))
    })
  })
  const answer = await httpRequest(url, {
    method: 'POST',
    headers: { authorization: 'Bearer x' },
    body: 'żółw',
    timeoutMs: 5_000,
  })
  expect(answer.status).toBe(307)
  expect(JSON.parse(answer.text)).toEqual({
    method: 'POST',
    path: '/path?a=b',
    authorization: 'Bearer x',
    length: '7',
    body: 'żółw',
  })
})

test('a letter that comes in two pieces is one letter', async () => {
  const bytes = Buffer.from('🚨')
  const url = await serve((_, response) => {
    response.write(bytes.subarray(0, 2))
    setTimeout(() => response.end(bytes.subarray(2)), 20)
  })
  expect((await httpRequest(url, { timeoutMs: 5_000 })).text).toBe('🚨')
})

test('one request after the other uses one connection', async () => {
  const url = await serve((_, response) => void response.end('x'))
  for (let i = 0; i < 5; i++) await httpRequest(url, { timeoutMs: 5_000 })
  expect(connections).toBe(1)
})

describe('there is no answer', () => {
  test.for<[what: string, answer: RequestListener, error: object]>([
    ['from who says nothing', () => {}, { name: 'TimeoutError' }],
    ['from who stops in the middle', (_, response) => void response.write('half'), { name: 'TimeoutError' }],
    [
      'where the connection breaks in the middle',
      (_, response) => {
        response.writeHead(200, { 'content-length': 10 })
        response.write('half', () => response.destroy())
      },
      { code: 'ECONNRESET' },
    ],
  ])('%s', async ([, answer, error]) => {
    const url = await serve(answer)
    await expect(httpRequest(url, { timeoutMs: 200 })).rejects.toMatchObject(error)
  })

  test('where nobody listens', async () => {
    const url = await serve(() => {})
    await new Promise((resolve) => server.close(resolve))
    await expect(httpRequest(url, { timeoutMs: 5_000 })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})
