#!/usr/bin/env node
/**
 * The commands. Each parses, runs, and ends with a documented exit code; data on stdout, everything else on stderr. The
 * code of a command is loaded when it is called, so that a start costs what it needs.
 */
import { Command, CommanderError } from 'commander'
import { count, json, sinkName } from './commands/arguments.ts'
import { contractsGroup } from './commands/contracts-group.ts'
import { deadLettersGroup } from './commands/dead-letters-group.ts'
import { environment, main } from './commands/main.ts'
import { sourceGroup } from './commands/source-group.ts'
import { environmentHelp, exitHelp, leaves, term } from './commands/usage.ts'
import { EXIT } from './core/error.ts'
import { SINKS, type SinkName } from './sinks/names.ts'

const program = new Command('incidents')
  .description('Prison incident reports: PostgreSQL to Kafka, Digital Prison Reporting, DuckDB and an API.')
  .exitOverride()
  .showHelpAfterError('Try `incidents --help`.')
  .configureHelp({ visibleCommands: leaves, subcommandTerm: term })
  .addHelpText('after', () => `\nEnvironment:\n${environmentHelp()}\n\nExit codes:\n${exitHelp()}`)

program
  .command('demo')
  .description('run with a database, synthetic reports and a load of its own')
  .option('--reports <n>', 'reports of each model', count, 1000)
  .option('--rate <n>', 'live transactions a second', count, 50)
  .option('--seed <n>', 'seed of everything synthetic', count, 1)
  .option('--transactions <n>', 'live transactions before the comparison', count, 200)
  .option('--once', 'end after the comparison')
  .addOption(json)
  .action((options) =>
    main(async (config, signal) => (await import('./commands/demo.ts')).demo(config, options, signal)),
  )

program
  .command('run')
  .description('every stage in one process on DATABASE_URL')
  .addOption(json)
  .action(() =>
    main(async (config, signal) => (await import('./commands/run.ts')).runEmbedded(await environment(config), signal)),
  )

sourceGroup(program)

program
  .command('capture')
  .description('the source into the raw topic')
  .addOption(json)
  .action(() =>
    main(async (config, signal) =>
      (await import('./commands/stage.ts')).runStage(await environment(config), 'capture', signal),
    ),
  )

program
  .command('unify')
  .description('the raw topic into the governed topics')
  .addOption(json)
  .action(() =>
    main(async (config, signal) =>
      (await import('./commands/stage.ts')).runStage(await environment(config), 'unify', signal),
    ),
  )

program
  .command('deliver')
  .description('the raw topic into one place')
  .argument('<sink>', SINKS.join(' | '), sinkName)
  .addOption(json)
  .action((sink: SinkName) =>
    main(async (config, signal) =>
      (await import('./commands/stage.ts')).runStage(await environment(config), sink, signal),
    ),
  )

program
  .command('serve')
  .description('the API over the operational store')
  .addOption(json)
  .action(() =>
    main(async (config, signal) => (await import('./commands/serve.ts')).runServe(await environment(config), signal)),
  )

program
  .command('console')
  .description('the pages for those who run the pipeline and look incidents up')
  .addOption(json)
  .action(() =>
    main(async (config, signal) =>
      (await import('./commands/console.ts')).runConsole(await environment(config), signal),
    ),
  )

program
  .command('status')
  .description("every hop's place and lag")
  .option('--watch', 'again every two seconds')
  .addOption(json)
  .action((options) =>
    main(async (config, signal) => (await import('./commands/status.ts')).status(config, options, signal)),
  )

program
  .command('lineage')
  .description('where each row of an incident stands in every place, and which record made it')
  .argument('<report>', 'the id or the reference of a report')
  .addOption(json)
  .action((report: string, options) =>
    main(async (config) => (await import('./commands/lineage.ts')).lineageCommand(config, report, options)),
  )

program
  .command('replay')
  .description('the raw topic once more, into a fresh place or a rebuilt one that takes the place of the live one')
  .requiredOption('--sink <name>', `${SINKS.join(' | ')} | unified`, (name) =>
    name === 'unified' ? name : sinkName(name),
  )
  .option('--into <place>', "a database's URL, a directory, or for unified a topic")
  .option('--from <position>', 'leave out what lies before')
  .option('--rebuild', 'fill a whole new place beside the live one, and swap; what was there stays as the previous one')
  .addOption(json)
  .action((options) =>
    main(async (config, signal) => (await import('./commands/replay.ts')).replayCommand(config, options, signal)),
  )

program
  .command('export')
  .description('the published analytics copy as parquet for Analytical Platform, with its metadata')
  .requiredOption('--to <directory>', 'where the landings lie')
  .addOption(json)
  .action((options) => main(async (config) => (await import('./commands/export.ts')).exportCommand(config, options)))

program
  .command('snapshot')
  .description('read tables again while rows flow; all of them unless named')
  .argument('[table...]', 'schema.table; the schema public may be left out')
  .option('--workers <n>', 'sessions that read side by side', count)
  .option('--rate <n>', 'rows a second, at most', count)
  .addOption(json)
  .action((tables: string[], options) =>
    main(async (config, signal) =>
      (await import('./commands/repair.ts')).snapshotCommand(config, tables, options, signal),
    ),
  )

for (const [kind, does] of [
  [
    'pause',
    'read tables outside the stream no further, with those that hang on them; what changes in them still streams',
  ],
  ['resume', 'go on reading paused tables where it was'],
] as const) {
  program
    .command(kind)
    .description(does)
    .argument('<table...>', 'schema.table; the schema public may be left out')
    .action((tables: string[]) =>
      main(async (config) => (await import('./commands/pause.ts')).holdCommand(config, kind, tables)),
    )
}

program
  .command('repair')
  .description('read rows again and delete what the source has no more, until every place is equal to it')
  .option('--table <name...>', 'whole tables')
  .option('--incident <reference...>', 'every row of these incidents, in both models')
  .option('--keys <file>', 'rows of the one --table: a primary key a line, - for stdin')
  .option('--all', 'everything')
  .option('--dry-run', 'only say what would be read')
  .addOption(json)
  .action((options) =>
    main(async (config, signal) => (await import('./commands/repair.ts')).repairCommand(config, options, signal)),
  )

program
  .command('migrate')
  .description('every incident of NOMIS into the incident database; goes on where it was')
  .option('--concurrency <n>', 'incidents at a time', count, 8)
  .option('--rate <n>', 'at most so many incidents a second', count)
  .option('--only <id>', 'one incident again, alone', count)
  .option('--compare', 'then NOMIS against the incident database')
  .option('--follow', 'then what changes in NOMIS, until the cut-off')
  .addOption(json)
  .action((options) =>
    main(async (config, signal) => (await import('./commands/migrate.ts')).migrateCommand(config, options, signal)),
  )

const nomis = program.command('nomis').description('the move from NOMIS')
nomis
  .command('status')
  .description('whether NOMIS’s incident screens, endpoints and tables may go, and why not')
  .addOption(json)
  .action((options) =>
    main(async (config) => (await import('./commands/migrate.ts')).nomisStatusCommand(config, options)),
  )

program
  .command('reconcile')
  .description('compare every place with the source, while rows flow')
  .option('--place <name...>', 'raw, unified, dpr-raw, operational or analytics; all of them unless given')
  .option('--since <when>', 'only rows that changed since this position or time; every row where they are many')
  .option('--timeout <seconds>', 'how long places may take to pass the fence, and rows to settle', count, 120)
  .option('--report <directory>', 'write reconcile-<lsn>.json and .html there, signed with REPORT_SIGNING_KEY')
  .option('--verify <file>', "check a report's signature, and do nothing else")
  .addOption(json)
  .action((options) =>
    main(async (config, signal) => (await import('./commands/reconcile.ts')).reconcileCommand(config, options, signal)),
  )

program
  .command('doctor')
  .description(
    'what keeps source and topics from serving the pipeline, with the SQL that mends it; exit 1 when there is any',
  )
  .option('--idle <seconds>', 'a transaction that is idle for longer is found', count, 60)
  .addOption(json)
  .action((options) => main(async (config) => (await import('./commands/doctor.ts')).doctor(config, options)))

contractsGroup(program)
deadLettersGroup(program)

// Whoever reads has enough: `incidents … | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(EXIT.done)
})

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage
}
