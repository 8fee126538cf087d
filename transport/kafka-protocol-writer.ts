/**
 * Parts of a request of Kafka's protocol in its flexible versions: lengths are one more than they are, so that 0 is null;
 * every structure ends with its count of further fields.
 */

export const NO_MORE_FIELDS = Buffer.from([0])

export function unsigned(n: number): Buffer {
  const bytes: number[] = []
  let rest = n
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128)
  return Buffer.from([...bytes, rest])
}

export function compactString(text: string): Buffer {
  return Buffer.concat([unsigned(Buffer.byteLength(text) + 1), Buffer.from(text)])
}
