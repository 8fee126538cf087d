import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global.ts'],
    testTimeout: 300_000, // longer than what a test waits for with patience
    hookTimeout: 300_000,
    pool: 'forks',
    maxWorkers: 2,
    // Fault tests race against real servers on shared machines: a second try is shown in the summary, a second failure fails.
    retry: process.env['CI'] === undefined ? 0 : 1,
  },
})
