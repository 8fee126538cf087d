/**
 * The data product definition of the unified set: what DPR's report service reads to offer its reports (rule
 * dpr.product). Column types and descriptions are those of the entity's contract; the queries read the tables that DPR's
 * jobs make of the raw zone's source `incidents`. A row is seen by whoever has its prison in the caseloads.
 */
import { ENTITY_DEFINITIONS, type FieldType } from '../schemas/entity.ts'

export const DATA_PRODUCT_FILE = 'incidents-unified.json'
/** DPR's source of the unified tables: it makes `prisons.<source>_<table>` of them. */
export const UNIFIED_SOURCE = 'incidents'

type FieldKind = 'string' | 'int' | 'long' | 'boolean' | 'date' | 'datetime'

interface DatasetField {
  readonly name: string
  readonly display: string
  readonly type: FieldKind
  readonly description?: string
}

/** As the schema 1.0.0 of data product definitions has it. */
export function dataProduct(): object {
  return {
    id: 'incidents-unified',
    name: 'Incidents, both models',
    description: 'Incident reports of DPS and of NOMIS in one shape; where DPS has the incident, its report.',
    metadata: {
      version: '1.0.0',
      author: 'incidents',
      owner: 'incidents',
      tags: ['DPS', 'NOMIS', 'Incident Reporting'],
    },
    datasource: [{ id: 'datamart', name: 'datamart' }],
    policy: [
      {
        id: 'access',
        type: 'access',
        rule: [
          {
            effect: 'permit',
            condition: [
              {
                match: ['${role}', 'INCIDENT_REPORTS__RO', 'INCIDENT_REPORTS__RW', 'INCIDENT_REPORTS__APPROVE'],
              },
            ],
          },
        ],
      },
      {
        id: 'caseloads',
        type: 'row-level',
        action: ['location IN (${caseloads})'],
        rule: [{ effect: 'permit', condition: [{ exists: ['${caseloads}'] }] }],
      },
    ],
    dataset: [
      options('types', 'Types', 'typeFamily'),
      options('statuses', 'Statuses', 'status'),
      dataset('summary', 'Incident reports', SUMMARY_QUERY, SUMMARY),
      dataset('by-location-per-month', 'Incidents by location and month', MONTH_QUERY, MONTH),
      dataset('by-source', 'Incidents by model and month', SOURCE_QUERY, SOURCE),
    ],
    report: [
      report('summary', 'Incident reports', SUMMARY, 'incident_date_and_time'),
      report('by-location-per-month', 'Incidents by location and month', MONTH, 'start_date'),
      report('by-source', 'Incidents by model and month', SOURCE, 'start_date'),
    ],
  }
}

const KINDS: Readonly<Record<FieldType, FieldKind>> = {
  uuid: 'string',
  string: 'string',
  int: 'int',
  long: 'long',
  boolean: 'boolean',
  date: 'date',
  timestamp: 'datetime',
  localTimestamp: 'datetime',
}

/** A column of the entity `Report`, under its own name or another. */
function reported(display: string, column: string, name = column): DatasetField {
  const field = ENTITY_DEFINITIONS.Report.fields.find((each) => each.column === column)
  if (field === undefined) throw new TypeError(`the contract of Report has no ${column}`)
  return { name, display, type: KINDS[field.type], description: field.doc }
}

const TYPE: DatasetField = { name: 'type_description', display: 'Type of incident', type: 'string' }
const STATUS: DatasetField = { name: 'status_description', display: 'Status', type: 'string' }
const LOCATION_NAME: DatasetField = { name: 'location_name', display: 'Establishment', type: 'string' }
const MONTH_START: DatasetField = { name: 'start_date', display: 'Month', type: 'date' }
const COUNT: DatasetField = { name: 'num_of_incidents', display: 'Incidents', type: 'long' }

const SUMMARY: readonly DatasetField[] = [
  reported('Id', 'id'),
  reported('Reference', 'reference', 'report_reference'),
  reported('Model', 'source'),
  reported('Type code', 'type'),
  reported('Type family', 'type_family'),
  TYPE,
  reported('Status code', 'status'),
  STATUS,
  reported('Date and time', 'incident_date_and_time_local', 'incident_date_and_time'),
  reported('Reported at', 'reported_at_local', 'reported_at'),
  reported('Establishment code', 'location'),
  LOCATION_NAME,
  reported('Title', 'title'),
  reported('Description', 'description'),
  { name: 'prisoners_involved', display: 'Prisoners', type: 'string' },
  reported('Changed at', 'modified_at_local', 'modified_at'),
]
const MONTH: readonly DatasetField[] = [
  MONTH_START,
  reported('Establishment code', 'location'),
  LOCATION_NAME,
  reported('Type family', 'type_family'),
  TYPE,
  COUNT,
]
const SOURCE: readonly DatasetField[] = [
  MONTH_START,
  reported('Establishment code', 'location'),
  LOCATION_NAME,
  reported('Model', 'source'),
  COUNT,
]

/** Reports that speak for their incident, without drafts and those that are none; each with its descriptions. */
const REPORTS = `FROM prisons.${UNIFIED_SOURCE}_report r
LEFT JOIN prisons.${UNIFIED_SOURCE}_reference_code family ON family.domain = 'typeFamily' AND family.code = r.type_family
LEFT JOIN prisons.${UNIFIED_SOURCE}_reference_code status ON status.domain = 'status' AND status.code = r.status
LEFT JOIN prisons.prisonregister_prison p ON p.prison_id = r.location
WHERE r.status NOT IN ('DUPLICATE', 'NOT_REPORTABLE', 'DRAFT')
  AND (r.source = 'DPS' OR NOT EXISTS (
    SELECT 1 FROM prisons.${UNIFIED_SOURCE}_report d WHERE d.reference = r.reference AND d.source = 'DPS'))`

const SUMMARY_QUERY = `SELECT r.id, r.reference AS report_reference, r.source, r.type, r.type_family,
  family.description AS type_description, r.status, status.description AS status_description,
  r.incident_date_and_time_local AS incident_date_and_time, r.reported_at_local AS reported_at,
  r.location, p.name AS location_name, r.title, r.description,
  (SELECT CAST(LISTAGG(i.prisoner_number || ' (' || i.prisoner_role || ')', ', ')
      WITHIN GROUP (ORDER BY i.prisoner_number) AS VARCHAR(4000))
    FROM prisons.${UNIFIED_SOURCE}_prisoner_involvement i WHERE i.report_id = r.id) AS prisoners_involved,
  r.modified_at_local AS modified_at
${REPORTS}`

const START = `CAST(date_trunc('month', r.incident_date_and_time_local) AS DATE)`

const MONTH_QUERY = `SELECT ${START} AS start_date, r.location, p.name AS location_name, r.type_family,
  family.description AS type_description, count(*) AS num_of_incidents
${REPORTS}
GROUP BY 1, r.location, p.name, r.type_family, family.description`

const SOURCE_QUERY = `SELECT ${START} AS start_date, r.location, p.name AS location_name, r.source,
  count(*) AS num_of_incidents
${REPORTS}
GROUP BY 1, r.location, p.name, r.source`

function dataset(id: string, name: string, query: string, field: readonly DatasetField[]): object {
  return { id, name, datasource: 'datamart', query, schema: { field } }
}

function options(id: string, name: string, domain: string): object {
  const query = `SELECT code, description FROM prisons.${UNIFIED_SOURCE}_reference_code WHERE domain = '${domain}' AND source = 'DPS' ORDER BY description`
  return dataset(id, name, query, [
    { name: 'code', display: 'Code', type: 'string' },
    { name: 'description', display: 'Description', type: 'string' },
  ])
}

/** What the reports offer to choose by: the option sets above, and the time. */
const FILTERS: Readonly<Record<string, object>> = {
  type_family: chosenFrom('types'),
  status: chosenFrom('statuses'),
  incident_date_and_time: { type: 'daterange' },
  start_date: { type: 'daterange' },
}

function chosenFrom(optionSet: string): object {
  const dynamicoptions = { dataset: optionSet, name: 'code', display: 'description' }
  return { type: 'multiselect', dynamicoptions: { ...dynamicoptions, returnAsStaticOptions: true, maximumOptions: 60 } }
}

function report(id: string, name: string, fields: readonly DatasetField[], sortedBy: string): object {
  const field = fields.map((each) => ({
    name: `$ref:${each.name}`,
    display: each.display,
    visible: each.name === 'id' ? 'false' : 'true',
    sortable: true,
    ...(each.name === sortedBy ? { defaultsort: true, sortdirection: 'desc' } : {}),
    ...(FILTERS[each.name] === undefined ? {} : { filter: FILTERS[each.name] }),
  }))
  return {
    id,
    name,
    version: '1.0.0',
    dataset: `$ref:${id}`,
    render: 'HTML',
    specification: { template: 'list', field },
  }
}
