#!/usr/bin/env node
/**
 * The commands. Each parses, runs, and ends with a documented exit code; data on stdout, everything else on stderr. The
 * code of a command is loaded when it is called, so that a start costs what it needs.
 */
import { Command, CommanderError, Option } from 'commander'
import { count, sinkName } from './commands/arguments.ts'
import { environmentHelp, exitHelp, leaves, term } from './commands/usage.ts'
import { parseConfig, type Config } from './config.ts'
import type { Environment } from './runtime.ts'
import { EXIT, exitCode, PipelineError } from './core/error.ts'
import { SINKS, type SinkName } from './sinks/names.ts'

const program = new Command('incidents')
  .description('Prison incident reports: PostgreSQL to Kafka, Digital Prison Reporting, DuckDB and an API.')
  .exitOverride()
  .showHelpAfterError('Try `incidents --help`.')
  .configureHelp({ visibleCommands: leaves, subcommandTerm: term })
  .addHelpText('after', () => `\nEnvironment:\n${environmentHelp()}\n\nExit codes:\n${exitHelp()}`)

/** How long an orderly end may take: a supervisor kills after ten. */
const ORDERLY_MS = 8_000

const json = new Option('--json', 'one line of JSON on stdout')

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

const source = program.command('source').description('the source database')
source
  .command('init')
  .description('apply the source schema to an empty database; on any other change nothing and list what is missing')
  .addOption(json)
  .action((options) => main(async (config) => (await import('./commands/source.ts')).sourceInit(config, options)))
source
  .command('adopt')
  .description('accept a source whose history is another than the raw topic has; then everything is read again')
  .addOption(json)
  .action((options) => main(async (config) => (await import('./commands/source.ts')).sourceAdopt(config, options)))
source
  .command('drop')
  .description('drop slot and publication')
  .option('--yes', 'yes, lose what the slot still holds')
  .addOption(json)
  .action((options) => main(async (config) => (await import('./commands/source.ts')).sourceDrop(config, options)))

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
  .option('--since <when>', 'only rows that changed since this position or time')
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

const contracts = program.command('contracts').description('the governed contracts')
contracts
  .command('check')
  .description('whether every earlier version, in the registry and in git, goes together with what lies here; exit 6')
  .addOption(json)
  .action((options) =>
    main(async (config) => (await import('./commands/contracts.ts')).contractsCheck(config, options)),
  )
contracts
  .command('diff')
  .description('what a changed policy or contract makes appear or vanish where, against the newest commit; exit 1')
  .addOption(json)
  .action((options) => main(async (config) => (await import('./commands/contracts.ts')).contractsDiff(config, options)))
contracts
  .command('publish')
  .description('register every contract; a level is raised, never lowered')
  .addOption(json)
  .action((options) =>
    main(async (config) => (await import('./commands/contracts.ts')).contractsPublish(config, options)),
  )
contracts
  .command('verify-dpr')
  .description("what DPR's jobs would make of each file of a raw zone")
  .argument('<dir>', 'a folder, or s3://bucket/prefix')
  .addOption(json)
  .action((directory: string, options) =>
    main(async () => (await import('./commands/contracts-verify-dpr.ts')).contractsVerifyDpr(directory, options)),
  )

const deadLetters = program.command('dead-letters').description('what could not be processed')
deadLetters
  .command('list')
  .description('by code, with times and incidents')
  .addOption(json)
  .action((options) =>
    main(async (config) => (await import('./commands/dead-letters.ts')).deadLettersList(config, options)),
  )
deadLetters
  .command('show')
  .description('one of them: code, position, incident, remedy and origin')
  .argument('<id>', 'partition/offset of the refused record')
  .addOption(json)
  .action((id: string, options) =>
    main(async (config) => (await import('./commands/dead-letters.ts')).deadLettersShow(config, id, options)),
  )
deadLetters
  .command('replay')
  .description('have their rows read again from the source; exit 1 when the rules still refuse one')
  .argument('[id...]', 'all that were not skipped unless given')
  .option('--dry-run', "only say what today's rules make of them")
  .addOption(json)
  .action((ids: string[], options) =>
    main(async (config) => (await import('./commands/dead-letters.ts')).deadLettersReplay(config, ids, options)),
  )
deadLetters
  .command('skip')
  .description('give a row up, recorded with who and why; its incident stays incomplete')
  .argument('<id>', 'partition/offset of the refused record')
  .requiredOption('--by <who>', 'who decided it')
  .requiredOption('--reason <why>', 'why; it names no person of the incident')
  .addOption(json)
  .action((id: string, options) =>
    main(async (config) => (await import('./commands/dead-letters.ts')).deadLettersSkip(config, id, options)),
  )

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

/** Parses the configuration, runs the command, and turns whatever ends it into one sentence and an exit code. */
async function main(command: (config: Config, signal: AbortSignal) => Promise<number>): Promise<void> {
  const stop = new AbortController()
  let interrupted = false
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      interrupted ||= name === 'SIGINT'
      // Nothing is lost by not waiting: a restart is a recovery.
      if (stop.signal.aborted) process.exit(interrupted ? EXIT.interrupted : EXIT.done)
      setTimeout(() => process.exit(interrupted ? EXIT.interrupted : EXIT.done), ORDERLY_MS).unref()
      stop.abort()
    })
  }
  try {
    const code = await command(parseConfig(process.env), stop.signal)
    process.exitCode = interrupted ? EXIT.interrupted : code
  } catch (error) {
    process.stderr.write(`${sentence(error)}\n`)
    process.exitCode = exitCode(error)
  }
  // What a library leaves open must not keep the process: everything of ours is durable and closed.
  setTimeout(() => process.exit(), 2_000).unref()
}

function sentence(error: unknown): string {
  if (error instanceof PipelineError) return `${error.code}: ${error.message}\n  ${error.remedy}`
  return `UNEXPECTED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
}

async function environment(config: Config): Promise<Environment> {
  const [{ logger, metrics }, { tableProgress }] = await Promise.all([
    import('./observability.ts'),
    import('./commands/progress.ts'),
  ])
  return { config, log: logger(config.LOG_LEVEL), metrics: metrics(), progress: tableProgress() }
}
