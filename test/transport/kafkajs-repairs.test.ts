import { createRequire } from 'node:module'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { repairKafkajs, type Connection } from '../../transport/kafkajs-repairs.ts'

const require = createRequire(import.meta.url)

repairKafkajs()
const NewConnection = require('kafkajs/src/network/connection.js') as new (given: object) => Connection
const { createLogger } = require('kafkajs/src/loggers/index.js') as { createLogger(given: object): object }
const socketFactory = require('kafkajs/src/network/socketFactory.js') as () => unknown
const Encoder = require('kafkajs/src/protocol/encoder.js') as new () => object

let server: Server
let sockets: Socket[]
let connection: Connection
/** Of the whole file: Node gives some of them once in a process. */
const warnings: string[] = []
process.on('warning', (warning) => warnings.push(warning.name))

/** A broker that answers as `answer` says: each request's correlation id, and how many sockets there have been. */
async function connectTo(answer: (socket: Socket, correlationId: number, nth: number) => void): Promise<void> {
  sockets = []
  server = createServer((socket) => {
    const nth = sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', (requests) => {
      for (let at = 0; at < requests.length; at += 4 + requests.readInt32BE(at)) {
        answer(socket, requests.readInt32BE(at + 8), nth)
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  connection = new NewConnection({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    logger: createLogger({ level: 0, logCreator: () => () => {} }),
    socketFactory: socketFactory(),
    connectionTimeout: 1000,
    requestTimeout: 300,
  })
}

afterEach(async () => {
  await connection.disconnect()
  for (const socket of sockets) socket.destroy()
  server.close()
})

function frame(correlationId: number, text: string): Buffer {
  const out = Buffer.alloc(8 + text.length)
  out.writeInt32BE(4 + text.length, 0)
  out.writeInt32BE(correlationId, 4)
  out.write(text, 8)
  return out
}

async function ask(): Promise<unknown> {
  await connection.connect()
  return connection.send({
    request: { apiKey: 1, apiVersion: 11, apiName: 'Fetch', encode: () => Promise.resolve(new Encoder()) },
    response: {
      decode: (payload: Buffer) => Promise.resolve({ text: String(payload) }),
      parse: ({ text }: { text: string }) => Promise.resolve(text),
    },
  })
}

test('half a response of a broken connection is not taken for the beginning of the next', async () => {
  await connectTo((socket, id, nth) => {
    if (nth > 1) return void socket.write(frame(id, 'whole'))
    socket.end(frame(id, 'x'.repeat(100)).subarray(0, 50))
  })
  await expect(ask()).rejects.toThrow(/Closed connection/)
  expect(await ask()).toBe('whole')
})

test('requests that find the connection closed share the new one', async () => {
  await connectTo((socket, id) => void socket.write(frame(id, 'answer')))
  expect(await Promise.all([ask(), ask(), ask()])).toEqual(['answer', 'answer', 'answer'])
  expect(sockets).toHaveLength(1)
})

test('a broker that does not answer is asked again over another connection, whatever becomes of the first', async () => {
  await connectTo((socket, id, nth) => {
    if (nth > 1) setTimeout(() => socket.write(frame(id, 'answer')), 50)
  })
  await expect(ask()).rejects.toThrow(/timed out/)
  expect(await ask()).toBe('answer')
  expect(sockets).toHaveLength(2)
})

test('many answers, and closing what has been closed again and again, make Node warn of nothing', async () => {
  await connectTo((socket, id) => void socket.write(frame(id, 'answer')))
  for (let i = 0; i < 50; i++) await ask()
  sockets[0]!.destroy()
  await expect.poll(() => connection.isConnected()).toBe(false)
  for (let i = 0; i < 20; i++) await connection.disconnect()
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(warnings).toEqual([])
})
