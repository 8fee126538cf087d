/** The codes of reports and what they are called, as the present service lists them. */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type pg from 'pg'
import { z } from 'zod'
import { NOMIS_CODES, TYPES } from '../transforms/codes.ts'
import { ErrorResponse } from './errors.ts'
import { answerFresh } from './freshness.ts'
import { FreshHeaders } from './parameters.ts'
import { ANY_ROLE } from './roles.ts'

const Constant = z.object({ code: z.string(), description: z.string() })
const nomisCode = z.string().nullable().describe('The code of NOMIS; null where there is none.')
const WithNomisCode = Constant.extend({ nomisCode })

/** Those that are rows of the source: of which domain they are, and what is said of one. */
const STORED: Readonly<Record<string, { domain: string; shape: z.ZodType; of: (row: ConstantRow) => object }>> = {
  types: {
    domain: 'type',
    shape: WithNomisCode.extend({ familyCode: z.string().nullable(), active: z.boolean() }),
    of: ({ parent, active, ...row }) => ({
      familyCode: parent,
      active: active ?? true,
      ...plain(row),
      ...nomis(row, typeCodes),
    }),
  },
  'type-families': { domain: 'typeFamily', shape: Constant, of: plain },
  statuses: {
    domain: 'status',
    shape: WithNomisCode,
    of: (row) => ({ ...plain(row), ...nomis(row, statusCodes) }),
  },
  'prisoner-roles': {
    domain: 'prisonerRole',
    shape: WithNomisCode,
    of: (row) => ({ ...plain(row), ...nomis(row, inverse(NOMIS_CODES.prisonerRoles)) }),
  },
  'prisoner-outcomes': {
    domain: 'prisonerOutcome',
    shape: WithNomisCode,
    of: (row) => ({ ...plain(row), ...nomis(row, inverse(NOMIS_CODES.outcomes)) }),
  },
  'staff-roles': {
    domain: 'staffRole',
    shape: Constant.extend({ nomisCodes: z.array(z.string()) }),
    of: (row) => ({ ...plain(row), nomisCodes: inverse(NOMIS_CODES.staffRoles).get(row.code) ?? [] }),
  },
  'user-actions': { domain: 'userAction', shape: Constant, of: plain },
  'user-types': { domain: 'userType', shape: Constant, of: plain },
}

/** Those that are the service's own. */
const FIXED: Readonly<Record<string, readonly z.infer<typeof Constant>[]>> = {
  'information-sources': [
    { code: 'DPS', description: 'DPS' },
    { code: 'NOMIS', description: 'NOMIS' },
  ],
  'error-codes': [
    { code: '100', description: 'ValidationFailure' },
    { code: '301', description: 'ReportNotFound' },
    { code: '302', description: 'ReportAlreadyExists' },
    { code: '303', description: 'ReportModifedInDps' },
  ],
}

interface ConstantRow {
  readonly code: string
  readonly description: string | null
  readonly parent: string | null
  readonly active: boolean | null
}

const tags = ['Constants']
const config = { roles: [ANY_ROLE] }

export function constantRoutes(server: FastifyInstance, database: pg.Pool): void {
  const app = server.withTypeProvider<ZodTypeProvider>()
  for (const [name, { domain, shape, of }] of Object.entries(STORED)) {
    app.get(
      `/constants/${name}`,
      {
        config,
        schema: {
          tags,
          summary: `The ${name.replace('-', ' ')} of reports`,
          headers: FreshHeaders,
          response: { 200: z.array(shape), 409: ErrorResponse },
        },
      },
      (_, reply) =>
        answerFresh(database, reply, async (query) => {
          const rows = await query<ConstantRow>(
            `SELECT code, description, parent_code AS parent, active FROM prisons.incidents_reference_code
             WHERE domain = $1 ORDER BY sequence, code`,
            [domain],
          )
          return rows.map(of)
        }),
    )
  }
  for (const [name, constants] of Object.entries(FIXED)) {
    const schema = { tags, summary: `The ${name.replace('-', ' ')}`, response: { 200: z.array(Constant) } }
    app.get(`/constants/${name}`, { config, schema }, () => [...constants])
  }
}

function plain({ code, description }: Pick<ConstantRow, 'code' | 'description'>) {
  return { code, description: description ?? code }
}

function nomis({ code }: Pick<ConstantRow, 'code'>, codes: ReadonlyMap<string, readonly string[]>) {
  return { nomisCode: codes.get(code)?.[0] ?? null }
}

const typeCodes = new Map(TYPES.map(([type, , code]) => [type, [code]]))
const statusCodes = inverse(new Map([...NOMIS_CODES.statuses].map(([code, { status }]) => [code, status])))

function inverse(codes: ReadonlyMap<string, string>): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const [nomisCode, code] of codes) found.set(code, [...(found.get(code) ?? []), nomisCode])
  return found
}
