import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ID_NAMESPACE, rowId, uuidV5 } from '../../transforms/identity.ts'

test('a row has the same id for ever', () => {
  expect(rowId('nomis.incident_cases', '247314')).toBe('b2ec7ce6-636e-5e65-a507-d93c44fe7f44')
  expect(rowId('public.response', '20')).toBe('da09ee37-63be-5df0-9425-80f124618fa9')
})

test('ids are UUIDv5 of the name under one namespace (RFC 9562, 5.5), however long the name is', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ minLength: 330, maxLength: 2000 })), (name) => {
      const digest = createHash('sha1')
        .update(Buffer.from(ID_NAMESPACE.replaceAll('-', ''), 'hex'))
        .update(name)
        .digest()
      digest[6] = (digest[6]! & 0x0f) | 0x50
      digest[8] = (digest[8]! & 0x3f) | 0x80
      const hex = digest.toString('hex', 0, 16)
      expect(uuidV5(name)).toBe(hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'))
    }),
  )
})

test('tables and composed keys do not meet in one id', () => {
  const ids = [
    rowId('public.question', '1'),
    rowId('public.response', '1'),
    rowId('nomis.incident_case_parties', '1/12'),
    rowId('nomis.incident_case_parties', '11/2'),
  ]
  expect(new Set(ids).size).toBe(ids.length)
})
