/** Errors of DuckDB and of the file system as the pipeline's, without a cell's value: DuckDB quotes them in its messages. */
import { PipelineError } from '../core/error.ts'

export function dprError(error: unknown, directory: string): PipelineError {
  if (error instanceof PipelineError) return error
  const message = error instanceof Error ? error.message : String(error)
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOSPC' || code === 'EDQUOT' || /no space left|ENOSPC|max_temp_directory_size/i.test(message)) {
    return new PipelineError(
      'DISK_FULL',
      `No space is left on the device of DPR's raw zone in ${directory}`,
      'Free space and start again: the sink goes on behind its last flush.',
    )
  }
  const kind =
    code ?? /^[A-Z][A-Za-z ]+ Error/.exec(message)?.[0] ?? (error instanceof Error ? error.name : 'unknown error')
  return new PipelineError(
    'SINK',
    `DPR's raw zone in ${directory} cannot be written: ${kind}`,
    'Check that the directory exists, is writable and on one file system; then start again.',
  )
}
