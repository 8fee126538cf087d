/** What `--help` lists. */
import type { Command } from 'commander'
import { OPTIONS } from '../config.ts'
import { EXIT } from '../core/error.ts'

/** The commands that do something, those of a group among them. */
export function leaves(command: Command): Command[] {
  return command.commands.flatMap((each) => (each.commands.length > 0 ? each.commands : [each])) as Command[]
}

/** A command of a group is named with its group. */
export function term(command: Command): string {
  const group = command.parent?.parent == null ? '' : `${command.parent.name()} `
  const args = command.registeredArguments.map((argument) => ` <${argument.name()}>`).join('')
  return `${group}${command.name()}${args} [options]`
}

export function environmentHelp(): string {
  const width = Math.max(...Object.keys(OPTIONS).map((name) => name.length))
  return Object.entries(OPTIONS)
    .map(([name, option]) => {
      const byDefault = 'byDefault' in option ? ` (${option.byDefault})` : ''
      return `  ${name.padEnd(width)}  ${option.says}${byDefault}`
    })
    .join('\n')
}

export function exitHelp(): string {
  return Object.entries(EXIT)
    .map(([name, code]) => `  ${String(code).padStart(3)}  ${name}`)
    .join('\n')
}
