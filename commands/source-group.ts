/** `incidents source …` */
import type { Command } from 'commander'
import { json } from './arguments.ts'
import { main } from './main.ts'

export function sourceGroup(program: Command): void {
  const source = program.command('source').description('the source database')
  source
    .command('init')
    .description('apply the source schema to an empty database; on any other change nothing and list what is missing')
    .addOption(json)
    .action((options) => main(async (config) => (await import('./source.ts')).sourceInit(config, options)))
  source
    .command('adopt')
    .description('accept a source whose history is another than the raw topic has; then everything is read again')
    .addOption(json)
    .action((options) => main(async (config) => (await import('./source.ts')).sourceAdopt(config, options)))
  source
    .command('drop')
    .description('drop slot and publication')
    .option('--yes', 'yes, lose what the slot still holds')
    .addOption(json)
    .action((options) => main(async (config) => (await import('./source.ts')).sourceDrop(config, options)))
}
