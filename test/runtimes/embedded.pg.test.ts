import { describe } from 'vitest'
import { embeddedRuntime } from '../../runtime.ts'
import { runtimeContract } from '../contract/runtime.ts'
import { startStage } from '../support/processes.ts'

describe('the embedded runtime', () => {
  runtimeContract({
    open: embeddedRuntime,
    more: () => ({}),
    start: (environment) => [startStage('run', ['run'], environment)],
  })
})
