/** What a process has cost so far, as the Linux kernel counts it. */
import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks a second of /proc/<pid>/stat. */
const TICKS = 100

/** User and system time in microseconds, that of its ended children included; 0 when the process is gone. */
export function cpuOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    const ticks = fields.slice(11, 15).reduce((sum, each) => sum + Number(each), 0)
    return (ticks * 1e6) / TICKS
  } catch {
    return 0
  }
}

/** In MiB, the most that it ever had in memory; 0 when the process is gone. */
export function peakRssOf(pid: number): number {
  try {
    const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return Math.round(Number(found?.[1] ?? 0) / 1024)
  } catch {
    return 0
  }
}

/** The process whose command line matches, one of our own where there are several; null when there is none. */
export function pidOf(pattern: RegExp): number | null {
  const found = pidsOf(pattern)
  return found.find((pid) => parentOf(pid) === process.pid) ?? found[0] ?? null
}

function parentOf(pid: number): number | null {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[1])
  } catch {
    return null
  }
}

/** The processes whose command lines match. */
export function pidsOf(pattern: RegExp): readonly number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      return pattern.test(readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ')) ? [Number(name)] : []
    } catch {
      return [] // gone since it was listed
    }
  })
}
