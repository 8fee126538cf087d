/** Requests of Kafka's protocol that kafkajs encodes, or that are encoded here, over its connections. */
import { createRequire } from 'node:module'
import { READ_COMMITTED, type Broker, type OffsetsOfTopic } from './kafkajs.ts'

const require = createRequire(import.meta.url)

export interface ProtocolRequest {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly apiName: string
    encode(): Promise<Encoded>
  }
  readonly response: {
    decode(payload: Buffer): Promise<unknown>
    parse(decoded: unknown): Promise<unknown>
  }
  readonly requestTimeout?: number
}

/** What kafkajs's encoder takes as a written part. */
interface Encoded {
  readonly buf: Buffer
  readonly buffer: Buffer
}

const { createErrorFromCode } = require('kafkajs/src/protocol/error.js') as {
  createErrorFromCode(code: number): Error & { readonly type: string; readonly retriable: boolean }
}

/** kafkajs's error for one of the protocol's codes; null for success. */
export function errorOf(code: number): (Error & { readonly type: string; readonly retriable: boolean }) | null {
  return code === 0 ? null : createErrorFromCode(code)
}

export interface FetchOptions {
  readonly maxWaitTime: number
  readonly minBytes: number
  readonly maxBytes: number
  readonly topics: readonly OffsetsOfTopic<{ partition: number; fetchOffset: string; maxBytes: number }>[]
}

const fetchV11 = require('kafkajs/src/protocol/requests/fetch/v11/request.js') as (
  given: FetchOptions & { replicaId: number; isolationLevel: number },
) => ProtocolRequest['request']

/** Fetches what committed transactions, and writers without one, have written; resolves with the undecoded response. */
export function sendFetch(broker: Broker, options: FetchOptions): Promise<Buffer> {
  return send(broker, {
    request: fetchV11({ ...options, replicaId: -1, isolationLevel: READ_COMMITTED }),
    response: UNDECODED,
    requestTimeout: options.maxWaitTime + 10_000,
  })
}

const API = require('kafkajs/src/protocol/requests/apiKeys.js') as { Produce: number; OffsetFetch: number }

/** Sends a produce request of version 7; resolves with the undecoded response. */
export function sendProduce(broker: Broker, encoded: Buffer, timeoutMs: number): Promise<Buffer> {
  return send(broker, {
    request: { apiKey: API.Produce, apiVersion: 7, apiName: 'Produce', encode: asEncoded(encoded) },
    response: UNDECODED,
    requestTimeout: timeoutMs + 5000,
  })
}

/** Sends an offset fetch request of version 7; resolves with the undecoded response. */
export function sendOffsetFetch(broker: Broker, encoded: Buffer): Promise<Buffer> {
  return send(broker, {
    request: { apiKey: API.OffsetFetch, apiVersion: 7, apiName: 'OffsetFetch', encode: asEncoded(encoded) },
    response: UNDECODED,
  })
}

const DESCRIBE_TRANSACTIONS = 65

/** Sends a request of version 0 (Kafka 3.0 and later); resolves with the undecoded response. */
export function sendDescribeTransactions(broker: Broker, encoded: Buffer): Promise<Buffer> {
  return send(broker, {
    request: {
      apiKey: DESCRIBE_TRANSACTIONS,
      apiVersion: 0,
      apiName: 'DescribeTransactions',
      encode: asEncoded(encoded),
    },
    response: UNDECODED,
  })
}

function asEncoded(bytes: Buffer): () => Promise<Encoded> {
  return () => Promise.resolve({ buf: bytes, buffer: bytes })
}

const UNDECODED: ProtocolRequest['response'] = {
  decode: (payload) => Promise.resolve({ payload }),
  parse: (decoded) => Promise.resolve((decoded as { payload: Buffer }).payload),
}

async function send(broker: Broker, request: ProtocolRequest): Promise<Buffer> {
  return (await broker.connectionPool.send(request)) as Buffer
}
