/** `incidents contracts …` */
import type { Command } from 'commander'
import { json } from './arguments.ts'
import { main } from './main.ts'

export function contractsGroup(program: Command): void {
  const contracts = program.command('contracts').description('the governed contracts')
  contracts
    .command('check')
    .description('whether every earlier version, in the registry and in git, goes together with what lies here; exit 6')
    .addOption(json)
    .action((options) => main(async (config) => (await import('./contracts.ts')).contractsCheck(config, options)))
  contracts
    .command('diff')
    .description('what a changed policy or contract makes appear or vanish where, against the newest commit; exit 1')
    .addOption(json)
    .action((options) => main(async (config) => (await import('./contracts.ts')).contractsDiff(config, options)))
  contracts
    .command('publish')
    .description('register every contract; a level is raised, never lowered')
    .addOption(json)
    .action((options) => main(async (config) => (await import('./contracts.ts')).contractsPublish(config, options)))
  contracts
    .command('verify-dpr')
    .description("what DPR's jobs would make of each file of a raw zone")
    .argument('<dir>', 'a folder, or s3://bucket/prefix')
    .addOption(json)
    .action((directory: string, options) =>
      main(async () => (await import('./contracts-verify-dpr.ts')).contractsVerifyDpr(directory, options)),
    )
}
