/** People of an incident, and what is added to its description: each added, changed and removed on its own. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { MAINTAIN_REPORTS } from '../../api/roles.ts'
import { DPS_CODES } from '../../transforms/codes.ts'
import { formText, text } from '../fields.ts'
import { opened, standOf, submit, type Told } from '../incident-editing.ts'
import type { Details } from '../incident-view.ts'
import { permissions, type Permissions } from '../permissions.ts'

interface Field {
  readonly name: string
  readonly label: string
  /** Sent as null when it is left empty. */
  readonly optional?: boolean
  readonly long?: boolean
  /** Those that it may be. */
  readonly codes?: readonly string[]
}

interface Part {
  /** As the API calls it. */
  readonly path: string
  readonly one: string
  readonly fields: readonly Field[]
  rowsOf(details: Details): readonly Row[]
  may(may: Permissions): boolean
}

type Row = { readonly sequence: number } & Readonly<Record<string, unknown>>
type Values = Readonly<Record<string, string>>

const NAMES: readonly Field[] = [
  { name: 'firstName', label: 'First name' },
  { name: 'lastName', label: 'Last name' },
]
const COMMENT: Field = { name: 'comment', label: 'Comment', optional: true, long: true }

const PARTS: readonly Part[] = [
  {
    path: 'prisoners-involved',
    one: 'prisoner',
    fields: [
      { name: 'prisonerNumber', label: 'Prisoner number' },
      ...NAMES,
      { name: 'prisonerRole', label: 'Role', codes: [...DPS_CODES.prisonerRoles.keys()] },
      { name: 'outcome', label: 'Outcome', optional: true, codes: [...DPS_CODES.outcomes.keys()] },
      COMMENT,
    ],
    rowsOf: ({ prisonersInvolved }) => prisonersInvolved,
    may: ({ parts }) => parts,
  },
  {
    path: 'staff-involved',
    one: 'member of staff',
    fields: [
      { name: 'staffUsername', label: 'Username', optional: true },
      ...NAMES,
      { name: 'staffRole', label: 'Role', codes: [...DPS_CODES.staffRoles.keys()] },
      COMMENT,
    ],
    rowsOf: ({ staffInvolved }) => staffInvolved,
    may: ({ parts }) => parts,
  },
  {
    path: 'description-addendums',
    one: 'addition to the description',
    fields: [{ name: 'text', label: 'What is to be added', long: true }, ...NAMES],
    rowsOf: ({ descriptionAddendums }) => descriptionAddendums,
    may: ({ addenda }) => addenda,
  },
]

export function incidentPeoplePages(app: FastifyInstance): void {
  app.get('/incidents/:which/people', async (request, reply) => {
    const details = await opened(request, reply)
    if (details === null) return reply
    const may = await permissions(request, details)
    return reply.view('incident-people.njk', {
      details,
      why: may.why,
      parts: PARTS.map((part) => ({ ...part, rows: part.rowsOf(details), allowed: part.may(may) })),
    })
  })

  app.get('/incidents/:which/people/:part/:sequence', async (request, reply) => {
    const found = await asked(request, reply)
    if (found === null) return reply
    const { details, part, row } = found
    return form(reply, { part, row, values: valuesOf(part, row ?? {}) })(details, await standOf(request, details))
  })

  app.post('/incidents/:which/people/:part/:sequence', async (request, reply) => {
    const found = await asked(request, reply)
    if (found === null) return reply
    const { details, part, row, isNew } = found
    const given = request.body as Record<string, unknown>
    const values = valuesOf(part, given)
    const show = form(reply, { part, row, values })
    if (row === null && !isNew) {
      void reply.code(409)
      const problem = `This ${part.one} has been removed by somebody else. Sending the form adds it again.`
      return show(details, { ...(await standOf(request, details)), problem })
    }
    const place = row === null ? '' : `/${part.rowsOf(details).indexOf(row) + 1}`
    const removes = text(given['act']) === 'remove'
    const method = removes ? 'DELETE' : row === null ? 'POST' : 'PATCH'
    const body = removes ? {} : { body: bodyOf(part, values) }
    return submit(request, reply, { details, change: { method, path: `/${part.path}${place}`, ...body }, show })
  })
}

interface Asked {
  readonly details: Details
  readonly part: Part
  /** Null for a new one, and for one that is there no more. */
  readonly row: Row | null
  readonly isNew: boolean
}

/** By its sequence: the place in the list moves when somebody else removes one. */
async function asked(request: FastifyRequest, reply: FastifyReply): Promise<Asked | null> {
  const { part: path, sequence } = request.params as { part: string; sequence: string }
  const part = PARTS.find((each) => each.path === path)
  if (part === undefined || !/^(new|\d{1,9})$/.test(sequence)) {
    reply.callNotFound()
    return null
  }
  const details = await opened(request, reply, [MAINTAIN_REPORTS])
  if (details === null) return null
  const row = part.rowsOf(details).find((each) => String(each.sequence) === sequence) ?? null
  return { details, part, row, isNew: sequence === 'new' }
}

function form(
  reply: FastifyReply,
  { part, row, values }: { readonly part: Part; readonly row: Row | null; readonly values: Values },
): (details: Details, told: Told) => FastifyReply {
  return (details, told) =>
    reply.view('incident-person.njk', { details, part, values, ...told, place: row === null ? 'new' : row.sequence })
}

function valuesOf({ fields }: Part, given: Readonly<Record<string, unknown>>): Values {
  return Object.fromEntries(fields.map(({ name }) => [name, formText(given[name])]))
}

function bodyOf({ fields }: Part, values: Values): Record<string, string | null> {
  return Object.fromEntries(
    fields.map(({ name, optional }) => [name, values[name] === '' && optional === true ? null : values[name]!]),
  )
}
