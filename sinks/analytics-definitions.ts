/** The descriptions that lie beside the analytics files: `metadata/<table>.json`, and DPR's data product definition. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Projections } from '../schemas/policy/projection.ts'
import { DATA_PRODUCT_FILE, dataProduct } from './data-product.ts'
import { mojapTables } from './mojap-metadata.ts'

/** Writes those that are missing or say something else; a reader sees each whole. What a power cut takes of them is written again. */
export function writeDefinitions(directory: string, projections: Projections): void {
  for (const table of mojapTables(projections)) replaceText(join(directory, 'metadata', `${table.name}.json`), table)
  replaceText(join(directory, 'metadata', DATA_PRODUCT_FILE), dataProduct())
}

function replaceText(path: string, content: object): void {
  const text = `${JSON.stringify(content, null, 2)}\n`
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.next`, text)
  renameSync(`${path}.next`, path)
}
