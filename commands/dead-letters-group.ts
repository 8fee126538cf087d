/** `incidents dead-letters …` */
import type { Command } from 'commander'
import { json } from './arguments.ts'
import { main } from './main.ts'

export function deadLettersGroup(program: Command): void {
  const deadLetters = program.command('dead-letters').description('what could not be processed')
  deadLetters
    .command('list')
    .description('by code, with times and incidents')
    .addOption(json)
    .action((options) => main(async (config) => (await import('./dead-letters.ts')).deadLettersList(config, options)))
  deadLetters
    .command('show')
    .description('one of them: code, position, incident, remedy and origin')
    .argument('<id>', 'partition/offset of the refused record')
    .addOption(json)
    .action((id: string, options) =>
      main(async (config) => (await import('./dead-letters.ts')).deadLettersShow(config, id, options)),
    )
  deadLetters
    .command('replay')
    .description('have their rows read again from the source; exit 1 when the rules still refuse one')
    .argument('[id...]', 'all that were not skipped unless given')
    .option('--dry-run', "only say what today's rules make of them")
    .addOption(json)
    .action((ids: string[], options) =>
      main(async (config) => (await import('./dead-letters.ts')).deadLettersReplay(config, ids, options)),
    )
  deadLetters
    .command('skip')
    .description('give a row up, recorded with who and why; its incident stays incomplete')
    .argument('<id>', 'partition/offset of the refused record')
    .requiredOption('--by <who>', 'who decided it')
    .requiredOption('--reason <why>', 'why; it names no person of the incident')
    .addOption(json)
    .action((id: string, options) =>
      main(async (config) => (await import('./dead-letters.ts')).deadLettersSkip(config, id, options)),
    )
}
