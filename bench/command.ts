/** A command as a process that ends by itself: what it prints with `--json`, and what it cost. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { cpuOf, peakRssOf } from './cpu.ts'

const CLI = fileURLToPath(new URL('../cli.ts', import.meta.url))

export interface Usage {
  readonly cpuSeconds: number
  readonly peakRssMiB: number
}

/** Exit code 1, a difference was found, is an answer too; rejects for any other but 0. */
export function answerOf<T extends object>(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<T & Usage> {
  const child = spawn(process.execPath, [CLI, ...args, '--json'], {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  let cpuSeconds = 0
  let peakRssMiB = 0
  child.stdout.on('data', (piece: Buffer) => (output += piece.toString()))
  // both are 0 once the process is gone
  const watch = setInterval(() => {
    cpuSeconds = Math.max(cpuSeconds, cpuOf(child.pid!) / 1e6)
    peakRssMiB = Math.max(peakRssMiB, peakRssOf(child.pid!))
  }, 200)
  return new Promise((resolve, reject) => {
    child.once('close', (code) => {
      clearInterval(watch)
      if (code === 0 || code === 1) resolve({ ...(JSON.parse(output) as T), cpuSeconds, peakRssMiB })
      else reject(new Error(`${args.join(' ')} ended with ${code}`))
    })
  })
}
