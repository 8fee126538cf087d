/** How long is waited for what must come, whatever else the machine does: a slow hour is no failure, and nothing is measured by it. */
export const PATIENCE_MS = 240_000
