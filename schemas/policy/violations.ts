/** Whether a unified field shows in some output more of a source column than the policy allows. */
import { ENTITIES } from '../../core/incident.ts'
import { ENTITY_DEFINITIONS, type Kind } from '../entity.ts'
import { CLEARANCES, OUTPUTS, type Treatment } from './clearance.ts'
import { columnKind } from './columns.ts'
import { DECLASSIFIED, LINEAGE } from './lineage.ts'

/** From the least protected on. */
const TREATMENTS: readonly Treatment[] = ['clear', 'pseudonym', 'length', 'withheld']

/**
 * What breaks the policy, one clause each; none when every field may leave as its kind says. A column that `kindOf`
 * does not know breaks it.
 */
export function violations(kindOf: typeof columnKind = columnKind): string[] {
  return ENTITIES.flatMap((entity) =>
    ENTITY_DEFINITIONS[entity].fields.flatMap(({ name, kind }) => {
      if (DECLASSIFIED[entity]?.[name] !== undefined) return []
      const columns = LINEAGE[entity][name]
      if (columns === undefined) return [`${entity}.${name} has no lineage`]
      return columns
        .filter((column) => exposes(kind, kindOfPath(column, kindOf)))
        .map((column) => `${entity}.${name} exposes ${column}`)
    }),
  )
}

/** Whether a field of this kind shows in some output more of a column than the column's own kind would. */
function exposes(field: Kind, column: Kind | undefined): boolean {
  if (column === undefined) return true
  return OUTPUTS.some(
    (output) => TREATMENTS.indexOf(CLEARANCES[output][field]) < TREATMENTS.indexOf(CLEARANCES[output][column]),
  )
}

function kindOfPath(path: string, kindOf: typeof columnKind): Kind | undefined {
  const [schema = '', table = '', column = ''] = path.split('.')
  return kindOf(schema, table, column)
}
