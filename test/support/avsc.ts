/** avsc as an independent reader of our bytes; a long that no number can hold is a bigint, as in our values. */
import avro from 'avsc'
import type { AvroSchema } from '../../schemas/registry.ts'

const LONG = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => plain(buffer.readBigInt64LE()),
  toBuffer: (value: number | bigint) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64LE(BigInt(value))
    return buffer
  },
  fromJSON: (value: number) => value,
  toJSON: String,
  isValid: (value: unknown) => typeof value === 'bigint' || Number.isSafeInteger(value),
  compare: (a: number | bigint, b: number | bigint) => (a < b ? -1 : Number(a > b)),
} as unknown as avro.types.LongType)

function plain(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/** The schema's type; unions as `{branch: value}`. */
export function avscType(schema: AvroSchema): avro.Type {
  return avro.Type.forSchema(schema as avro.Schema, {
    wrapUnions: true,
    typeHook: (each) => (each === 'long' || (each as { type?: unknown }).type === 'long' ? LONG : undefined),
  })
}
