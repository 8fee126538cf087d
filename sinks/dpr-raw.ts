/**
 * DPR's raw zone, as AWS DMS would fill it (dpr 10): parquet files in `raw/<source>/<table>`, contracts in `contracts`,
 * the jobs' table lists in `configs`, and the sink's own `manifest`, all in one directory.
 *
 *   incidentreporting  the tables of the incident database's schema `public`, column for column as policy clears them
 *   incidents          the unified entities, both models
 *
 * Each write is one flush: its rows are staged in DuckDB, written to parquet beside the raw zone, and published by one
 * entry of the manifest, which also holds the sink's place. So a change that comes again is known by its offset, and a
 * flush happens wholly or not at all.
 *
 * An upsert of a unified row is an I only where the source row is new. What else brings a row into being (a code that
 * could not be mapped before, an update that turns one entity into another) is a U: DPR inserts a row that it does not
 * know, and would ignore an I for one that it does (dpr 1.7).
 */
import { join } from 'node:path'
import { tableName, type RowChange, type Table } from '../core/change.ts'
import { PipelineError } from '../core/error.ts'
import type { Entity, EntityRow, IncidentChange } from '../core/incident.ts'
import type { PlacedSink, Places } from '../core/place.ts'
import { BEGINNING, type Position } from '../core/position.ts'
import type { Kind } from '../schemas/entity.ts'
import { CLEARANCES } from '../schemas/policy/clearance.ts'
import { columnKind as policyKind } from '../schemas/policy/columns.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import { entityColumn, sourceColumn } from './dpr-raw-columns.ts'
import { publishContract, type ContractOwner, type DprTable } from './dpr-raw-contracts.ts'
import { dprError } from './dpr-raw-error.ts'
import { openManifest, type Manifest, type Step } from './dpr-raw-manifest.ts'
import { checkpointText, hundredths, timestampText } from './dpr-raw-names.ts'
import { inCommitOrder, isMove } from './dpr-raw-order.ts'
import { flush } from './dpr-raw-flush.ts'
import { openStaging, stagedName, type Staged, type StagedOp, type Staging } from './dpr-raw-staging.ts'
