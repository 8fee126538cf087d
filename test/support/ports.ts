/** Ports for servers that must come back at the same address. */
import { createServer } from 'node:net'

/** Below the range from which the system hands out ports by itself, so that nobody takes it during a restart. */
const LOW = 20_000
const HIGH = 32_000

export async function steadyPort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = LOW + Math.floor(Math.random() * (HIGH - LOW))
    if (await isFree(port)) return port
  }
  throw new Error(`no port is free between ${LOW} and ${HIGH}`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}
