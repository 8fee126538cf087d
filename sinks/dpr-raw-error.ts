/** Errors of DuckDB, of the file system and of S3 as the pipeline's, without a cell's value: DuckDB quotes them in its messages. */
import { PipelineError } from '../core/error.ts'

export function dprError(error: unknown, location: string): PipelineError {
  if (error instanceof PipelineError) return error
  const message = error instanceof Error ? error.message : String(error)
  const code = (error as NodeJS.ErrnoException).code
  const kind =
    code ?? /^[A-Z][A-Za-z ]+ Error/.exec(message)?.[0] ?? (error instanceof Error ? error.name : 'unknown error')
  if (/ENOSPC|EDQUOT|StorageFull|QuotaExceeded/.test(kind) || /no space left|max_temp_directory_size/i.test(message)) {
    return new PipelineError(
      'DISK_FULL',
      `No space is left on the device of DPR's raw zone in ${location}`,
      'Free space and start again: the sink goes on behind its last flush.',
    )
  }
  return new PipelineError(
    'SINK',
    `DPR's raw zone in ${location} cannot be written: ${kind}`,
    location.startsWith('s3://')
      ? 'Check that the bucket exists, that AWS_REGION and the credentials are its own and may list, read, write and delete below the prefix; then start again.'
      : 'Check that the directory exists, is writable and on one file system; then start again.',
  )
}

/** A file of another hand where one of ours belongs. */
export function foreignFile(target: string): PipelineError {
  return new PipelineError(
    'SINK_FOREIGN',
    `${target} exists and was not written by this pipeline's flush`,
    'Find out what else writes to the raw zone and stop it; move its file away, then start again.',
  )
}
