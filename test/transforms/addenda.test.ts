/** What of a NOMIS incident's details is description and what was added later (rule legacy.addenda). */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { splitDetails } from '../../transforms/addenda.ts'

const first = 'User:STARK,TONY Date:07-JUN-2024 12:13Some extra information'

describe('details are split at each User:', () => {
  test('the text before the first is the description; each entry names person and time', () => {
    expect(splitDetails(`A new incident${first}User:Banner,Bruce Date:10/12/2024 14:53Even\nmore`)).toEqual({
      description: 'A new incident',
      addenda: [
        {
          lastName: 'STARK',
          firstName: 'TONY',
          created: { instant: '2024-06-07T11:13:00.000000Z', local: '2024-06-07T12:13:00.000000' },
          text: 'Some extra information',
        },
        {
          lastName: 'Banner',
          firstName: 'Bruce',
          created: { instant: '2024-12-10T14:53:00.000000Z', local: '2024-12-10T14:53:00.000000' },
          text: 'Even\nmore',
        },
      ],
    })
  })

  test.each([
    ['07-Jun-2024', '2024-06-07'],
    ['07-jun-2024', '2024-06-07'],
    ['29-FEB-2004', '2004-02-29'],
    ['01/12/2019', '2019-12-01'],
  ])('%s is %s', (written, date) => {
    const { addenda } = splitDetails(`xUser:A,B Date:${written} 00:00y`)
    expect(addenda.map(({ created }) => created.local)).toEqual([`${date}T00:00:00.000000`])
  })

  test('an entry may stand alone, be empty, and name people of several words', () => {
    expect(splitDetails("User:O'Hara-Smith,Mary Ann Date:07-JUN-2024 12:13")).toMatchObject({
      description: '',
      addenda: [{ lastName: "O'Hara-Smith", firstName: 'Mary Ann', text: '' }],
    })
  })

  test('a text that looks like a date stays in the text', () => {
    expect(splitDetails(`x${first} Date:08-JUN-2024 09:00`).addenda[0]!.text).toBe(
      'Some extra information Date:08-JUN-2024 09:00',
    )
  })
})

describe('where one entry has another form, all of it is the description', () => {
  test.each([
    'The User: field was empty',
    `${first}User: STARK`,
    'xUser:STARK TONY Date:07-JUN-2024 12:13y',
    'xUser:STARK,TONY 07-JUN-2024 12:13y',
    'xUser:STARK,TONY Date:7-JUN-2024 12:13y',
    'xUser:STARK,TONY Date:07-JUX-2024 12:13y',
    'xUser:STARK,TONY Date:30-FEB-2024 12:13y',
    'xUser:STARK,TONY Date:07/13/2024 12:13y',
    'xUser:STARK,TONY Date:07-JUN-2024 24:13y',
    'xUser:STARK,TONY Date:07-JUN-2024 12:1',
    'xUser:STARK,TO\nNY Date:07-JUN-2024 12:13y',
  ])('%j', (text) => {
    expect(splitDetails(text)).toEqual({ description: text, addenda: [] })
  })

  test('and a text without entries is one, whatever it holds', () => {
    for (const text of [null, '', 'user:a,b Date:07-JUN-2024 12:13']) {
      expect(splitDetails(text)).toEqual({ description: text, addenda: [] })
    }
  })
})

test('nothing is lost: what is written in the form comes back, and joined it is the whole again', () => {
  const word = fc.string({ unit: 'grapheme' }).filter((text) => !/User:| Date:|,|\n|\r|\u2028|\u2029/.test(text))
  const text = fc.string({ unit: 'grapheme' }).filter((each) => !each.includes('User:'))
  const entry = fc.record({ last: word, first: word, minute: fc.nat(59), text })
  fc.assert(
    fc.property(text, fc.array(entry), (description, entries) => {
      const written = entries.map(
        ({ last, first: name, minute, text: added }) =>
          `User:${last},${name} Date:07-JUN-2024 12:${String(minute).padStart(2, '0')}${added}`,
      )
      const whole = description + written.join('')
      if (whole.split('User:').length !== entries.length + 1) return // the pieces made another entry between them
      const found = splitDetails(whole)
      expect(found.description).toBe(description)
      expect(found.addenda.map(({ lastName, firstName, text: added }) => [lastName, firstName, added])).toEqual(
        entries.map((each) => [each.last, each.first, each.text]),
      )
    }),
  )
})
