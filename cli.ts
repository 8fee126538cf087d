#!/usr/bin/env node
/** The commands. Each parses, runs, and ends with a documented exit code; data on stdout, everything else on stderr. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { OPTIONS, parseConfig, type Config } from './config.ts'
import { EXIT, exitCode, PipelineError } from './core/error.ts'
import { sourceAdopt, sourceDrop, sourceInit } from './commands/source.ts'
import { contractsVerifyDpr } from './commands/contracts-verify-dpr.ts'
import { contractsCheck, contractsDiff, contractsPublish } from './commands/contracts.ts'
import { deadLettersList, deadLettersReplay, deadLettersShow, deadLettersSkip } from './commands/dead-letters.ts'
import { runConsole } from './commands/console.ts'
import { demo } from './commands/demo.ts'
import { doctor } from './commands/doctor.ts'
import { logger, metrics } from './observability.ts'
import { SINKS, type SinkName } from './pipeline.ts'
import { runEmbedded, runStage, runServe } from './commands/run.ts'
import { lineageCommand } from './commands/lineage.ts'
import { replayCommand } from './commands/replay.ts'
import { migrateCommand, nomisStatusCommand } from './commands/migrate.ts'
import { status } from './commands/status.ts'
import { reconcileCommand } from './commands/reconcile.ts'
import { repairCommand, snapshotCommand } from './commands/repair.ts'
import { tableProgress } from './commands/progress.ts'

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
  .action((options) => main((config, signal) => demo(config, options, signal)))

program
  .command('run')
  .description('every stage in one process on DATABASE_URL')
  .addOption(json)
  .action(() => main((config, signal) => runEmbedded(environment(config), signal)))

const source = program.command('source').description('the source database')
source
  .command('init')
  .description('apply the source schema to an empty database; on any other change nothing and list what is missing')
  .addOption(json)
  .action((options) => main((config) => sourceInit(config, options)))
source
  .command('adopt')
  .description('accept a source whose history is another than the raw topic has; then everything is read again')
  .addOption(json)
  .action((options) => main((config) => sourceAdopt(config, options)))
source
  .command('drop')
  .description('drop slot and publication')
  .option('--yes', 'yes, lose what the slot still holds')
  .addOption(json)
  .action((options) => main((config) => sourceDrop(config, options)))

program
  .command('capture')
  .description('the source into the raw topic')
  .addOption(json)
  .action(() => main((config, signal) => runStage(environment(config), 'capture', signal)))

program
  .command('unify')
  .description('the raw topic into the governed topics')
  .addOption(json)
  .action(() => main((config, signal) => runStage(environment(config), 'unify', signal)))

program
  .command('deliver')
  .description('the raw topic into one place')
  .argument('<sink>', SINKS.join(' | '), sinkName)
  .addOption(json)
  .action((sink: SinkName) => main((config, signal) => runStage(environment(config), sink, signal)))

program
  .command('serve')
  .description('the API over the operational store')
  .addOption(json)
  .action(() => main((config, signal) => runServe(environment(config), signal)))

program
  .command('console')
  .description('the pages for those who run the pipeline and look incidents up')
  .addOption(json)
  .action(() => main((config, signal) => runConsole(environment(config), signal)))

program
  .command('status')
  .description("every hop's place and lag")
  .option('--watch', 'again every two seconds')
  .addOption(json)
  .action((options) => main((config, signal) => status(config, options, signal)))

program
  .command('lineage')
  .description('where each row of an incident stands in every place, and which record made it')
  .argument('<report>', 'the id or the reference of a report')
  .addOption(json)
  .action((report: string, options) => main((config) => lineageCommand(config, report, options)))

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
  .action((options) => main((config, signal) => replayCommand(config, options, signal)))

program
  .command('snapshot')
  .description('read tables again while rows flow; all of them unless named')
  .argument('[table...]', 'schema.table; the schema public may be left out')
  .option('--workers <n>', 'sessions that read side by side', count)
  .option('--rate <n>', 'rows a second, at most', count)
  .addOption(json)
  .action((tables: string[], options) => main((config, signal) => snapshotCommand(config, tables, options, signal)))

program
  .command('repair')
  .description('read rows again and delete what the source has no more, until every place is equal to it')
  .option('--table <name...>', 'whole tables')
  .option('--incident <reference...>', 'every row of these incidents, in both models')
  .option('--keys <file>', 'rows of the one --table: a primary key a line, - for stdin')
  .option('--all', 'everything')
  .option('--dry-run', 'only say what would be read')
  .addOption(json)
  .action((options) => main((config, signal) => repairCommand(config, options, signal)))

program
  .command('migrate')
  .description('every incident of NOMIS into the incident database; goes on where it was')
  .option('--concurrency <n>', 'incidents at a time', count, 8)
  .option('--rate <n>', 'at most so many incidents a second', count)
  .option('--only <id>', 'one incident again, alone', count)
  .option('--compare', 'then NOMIS against the incident database')
  .option('--follow', 'then what changes in NOMIS, until the cut-off')
  .addOption(json)
  .action((options) => main((config, signal) => migrateCommand(config, options, signal)))

const nomis = program.command('nomis').description('the move from NOMIS')
nomis
  .command('status')
  .description('whether NOMIS’s incident screens, endpoints and tables may go, and why not')
  .addOption(json)
  .action((options) => main((config) => nomisStatusCommand(config, options)))

program
  .command('reconcile')
  .description('compare every place with the source, while rows flow')
  .option('--place <name...>', 'raw, unified, dpr-raw, operational or analytics; all of them unless given')
  .option('--since <when>', 'only rows that changed since this position or time')
  .option('--timeout <seconds>', 'how long places may take to pass the fence, and rows to settle', count, 120)
  .option('--report <directory>', 'write reconcile-<lsn>.json and .html there, signed with REPORT_SIGNING_KEY')
  .option('--verify <file>', "check a report's signature, and do nothing else")
  .addOption(json)
  .action((options) => main((config, signal) => reconcileCommand(config, options, signal)))

program
  .command('doctor')
  .description(
    'what keeps source and topics from serving the pipeline, with the SQL that mends it; exit 1 when there is any',
  )
  .option('--idle <seconds>', 'a transaction that is idle for longer is found', count, 60)
  .addOption(json)
  .action((options) => main((config) => doctor(config, options)))

const contracts = program.command('contracts').description('the governed contracts')
contracts
  .command('check')
  .description('whether every earlier version, in the registry and in git, goes together with what lies here; exit 6')
  .addOption(json)
  .action((options) => main((config) => contractsCheck(config, options)))
contracts
  .command('diff')
  .description('what a changed policy or contract makes appear or vanish where, against the newest commit; exit 1')
  .addOption(json)
  .action((options) => main((config) => contractsDiff(config, options)))
contracts
  .command('publish')
  .description('register every contract; a level is raised, never lowered')
  .addOption(json)
  .action((options) => main((config) => contractsPublish(config, options)))
contracts
  .command('verify-dpr')
  .description("what DPR's jobs would make of each file of a raw zone")
  .argument('<dir>', 'a folder, or s3://bucket/prefix')
  .addOption(json)
  .action((directory: string, options) => main(() => contractsVerifyDpr(directory, options)))

const deadLetters = program.command('dead-letters').description('what could not be processed')
deadLetters
  .command('list')
  .description('by code, with times and incidents')
  .addOption(json)
  .action((options) => main((config) => deadLettersList(config, options)))
deadLetters
  .command('show')
  .description('one of them: code, position, incident, remedy and origin')
  .argument('<id>', 'partition/offset of the refused record')
  .addOption(json)
  .action((id: string, options) => main((config) => deadLettersShow(config, id, options)))
deadLetters
  .command('replay')
  .description('have their rows read again from the source; exit 1 when the rules still refuse one')
  .argument('[id...]', 'all that were not skipped unless given')
  .option('--dry-run', "only say what today's rules make of them")
  .addOption(json)
  .action((ids: string[], options) => main((config) => deadLettersReplay(config, ids, options)))
deadLetters
  .command('skip')
  .description('give a row up, recorded with who and why; its incident stays incomplete')
  .argument('<id>', 'partition/offset of the refused record')
  .requiredOption('--by <who>', 'who decided it')
  .requiredOption('--reason <why>', 'why; it names no person of the incident')
  .addOption(json)
  .action((id: string, options) => main((config) => deadLettersSkip(config, id, options)))

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

function environment(config: Config) {
  return { config, log: logger(config.LOG_LEVEL), metrics: metrics(), progress: tableProgress() }
}

function count(text: string): number {
  const n = Number(text)
  if (!Number.isInteger(n) || n < 0) throw new InvalidArgumentError('Expected a whole number.')
  return n
}

function sinkName(text: string): SinkName {
  const found = SINKS.find((name) => name === text)
  if (found === undefined) throw new InvalidArgumentError(`Expected ${SINKS.join(', ')}.`)
  return found
}

/** The commands that do something, those of a group among them. */
function leaves(command: Command): Command[] {
  return command.commands.flatMap((each) => (each.commands.length > 0 ? each.commands : [each])) as Command[]
}

function term(command: Command): string {
  const group = command.parent === null || command.parent === program ? '' : `${command.parent.name()} `
  const args = command.registeredArguments.map((argument) => ` <${argument.name()}>`).join('')
  return `${group}${command.name()}${args} [options]`
}

function environmentHelp(): string {
  const width = Math.max(...Object.keys(OPTIONS).map((name) => name.length))
  return Object.entries(OPTIONS)
    .map(([name, option]) => {
      const byDefault = 'byDefault' in option ? ` (${option.byDefault})` : ''
      return `  ${name.padEnd(width)}  ${option.says}${byDefault}`
    })
    .join('\n')
}

function exitHelp(): string {
  return Object.entries(EXIT)
    .map(([name, code]) => `  ${String(code).padStart(3)}  ${name}`)
    .join('\n')
}
