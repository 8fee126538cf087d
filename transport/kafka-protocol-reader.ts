/** Reads a response of Kafka's protocol from its beginning to its end. */
export function protocolReader(payload: Buffer) {
  let at = 0
  const take = (size: number): number => {
    at += size
    return at - size
  }
  const unsigned = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = payload[take(1)]!
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
  return {
    skip: (size: number): void => void take(size),
    int16: () => payload.readInt16BE(take(2)),
    int32: () => payload.readInt32BE(take(4)),
    int64: () => payload.readBigInt64BE(take(8)),
    string: () => payload.toString('utf8', take(payload.readInt16BE(take(2))), at),
    unsigned,
    /** '' for null. */
    compactString: (): string => payload.toString('utf8', take(Math.max(unsigned() - 1, 0)), at),
    bytes: (): Buffer => {
      const size = Math.max(payload.readInt32BE(take(4)), 0)
      return payload.subarray(take(size), at)
    },
  }
}
