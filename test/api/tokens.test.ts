/** How long a token counts that was found good once. */
import { exportJWK, generateKeyPair, SignJWT, createLocalJWKSet, type JWTVerifyGetKey } from 'jose'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { verifyTokens } from '../../api/tokens.ts'

const { privateKey, publicKey } = await generateKeyPair('RS256')
const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'RS256' }] }
const BEGUN = new Date('2026-06-01T12:00:00Z')

const signed = (seconds: number, clientId = 'cattool'): Promise<string> =>
  new SignJWT({ client_id: clientId })
    .setProtectedHeader({ alg: 'RS256', kid: 'one' })
    .setExpirationTime(BEGUN.getTime() / 1000 + seconds)
    .sign(privateKey)

let lookups: number
let withdrawn: boolean
const keys: JWTVerifyGetKey = (header, token) => {
  lookups += 1
  return createLocalJWKSet(withdrawn ? { keys: [] } : jwks)(header, token)
}

beforeEach(() => {
  lookups = 0
  withdrawn = false
  vi.useFakeTimers({ toFake: ['Date'], now: BEGUN })
})
afterEach(() => vi.useRealTimers())

const after = (seconds: number): void => void vi.setSystemTime(BEGUN.getTime() + seconds * 1000)

describe('a token that was found good', () => {
  test('is not verified again for half a minute, and its caller is the same', async () => {
    const verify = verifyTokens(keys)
    const token = await signed(3_600)
    const caller = await verify(token)
    after(29)
    expect([await verify(token), lookups]).toEqual([caller, 1])
    after(31)
    expect([await verify(token), lookups]).toEqual([caller, 2])
  })

  test('does not outlive itself', async () => {
    const verify = verifyTokens(keys)
    const token = await signed(10)
    expect(await verify(token)).not.toBeNull()
    after(16) // the clocks may differ by five seconds
    expect(await verify(token)).toBeNull()
  })

  test('is none once its key was withdrawn for half a minute', async () => {
    const verify = verifyTokens(keys)
    const token = await signed(3_600)
    await verify(token)
    withdrawn = true
    after(31)
    expect(await verify(token)).toBeNull()
  })

  test('lends nothing to another: one that is changed is none', async () => {
    const verify = verifyTokens(keys)
    const token = await signed(3_600)
    expect((await verify(token))!.clientId).toBe('cattool')
    const [header, , signature] = token.split('.')
    const other = Buffer.from(JSON.stringify({ client_id: 'other', exp: 9e9 })).toString('base64url')
    expect(await verify(`${header}.${other}.${signature}`)).toBeNull()
    expect((await verify(await signed(3_600, 'another')))!.clientId).toBe('another')
  })

  test('is forgotten when a thousand others have come', async () => {
    const verify = verifyTokens(keys)
    const first = await signed(3_600)
    await verify(first)
    for (let i = 0; i < 1_000; i++) await verify(await signed(3_600, `client ${i}`))
    const before = lookups
    await verify(first)
    expect(lookups).toBe(before + 1)
  })
})

test('one that is none is looked at each time', async () => {
  const verify = verifyTokens(keys)
  const token = await signed(-60)
  expect([await verify(token), await verify(token), lookups]).toEqual([null, null, 2])
})
