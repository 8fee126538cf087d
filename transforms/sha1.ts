/**
 * SHA-1 of a few dozen bytes, for names of rows (UUIDv5), never for secrets. Node's own costs a call into native code
 * and a text of forty characters, which is twice as much as the sum itself.
 */

const words = new Int32Array(80)

/** Writes the digest of the first `length` bytes into `digest`, five words. */
export function sha1(bytes: Uint8Array, length: number, digest: Int32Array): void {
  digest[0] = 0x67452301
  digest[1] = 0xefcdab89
  digest[2] = 0x98badcfe
  digest[3] = 0x10325476
  digest[4] = 0xc3d2e1f0
  const blocks = (length + 72) >> 6
  for (let block = 0; block < blocks; block++) {
    readBlock(bytes, length, block << 6)
    if (block === blocks - 1) {
      words[14] = 0
      words[15] = length << 3
    }
    for (let i = 16; i < 80; i++) {
      const word = words[i - 3]! ^ words[i - 8]! ^ words[i - 14]! ^ words[i - 16]!
      words[i] = (word << 1) | (word >>> 31)
    }
    addBlock(digest)
  }
}

/** Behind the bytes a single 1 bit, then zeros. */
function readBlock(bytes: Uint8Array, length: number, from: number): void {
  for (let i = 0; i < 16; i++) {
    const at = from + (i << 2)
    if (at + 4 <= length) {
      words[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
      continue
    }
    let word = 0
    for (let j = at; j < at + 4; j++) word = (word << 8) | (j < length ? bytes[j]! : j === length ? 0x80 : 0)
    words[i] = word
  }
}

/** Four times twenty rounds, written out: one loop with a choice in it takes twice as long. */
function addBlock(digest: Int32Array): void {
  let a = digest[0]!
  let b = digest[1]!
  let c = digest[2]!
  let d = digest[3]!
  let e = digest[4]!
  for (let i = 0; i < 20; i++) {
    const next = (((a << 5) | (a >>> 27)) + ((b & c) | (~b & d)) + 0x5a827999 + e + words[i]!) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  for (let i = 20; i < 40; i++) {
    const next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + 0x6ed9eba1 + e + words[i]!) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  for (let i = 40; i < 60; i++) {
    const next = (((a << 5) | (a >>> 27)) + ((b & c) | (b & d) | (c & d)) - 0x70e44324 + e + words[i]!) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  for (let i = 60; i < 80; i++) {
    const next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) - 0x359d3e2a + e + words[i]!) | 0
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  digest[0] = (digest[0]! + a) | 0
  digest[1] = (digest[1]! + b) | 0
  digest[2] = (digest[2]! + c) | 0
  digest[3] = (digest[3]! + d) | 0
  digest[4] = (digest[4]! + e) | 0
}
