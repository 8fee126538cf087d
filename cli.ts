#!/usr/bin/env node
/** The commands. Each parses, runs, and ends with a documented exit code; data on stdout, everything else on stderr. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { OPTIONS, parseConfig, type Config } from './config.ts'
import { EXIT, exitCode, PipelineError } from './core/error.ts'
import { sourceInit } from './commands/source.ts'
import { demo } from './commands/demo.ts'
import { logger, metrics } from './observability.ts'
import { SINKS, type SinkName } from './pipeline.ts'
import { runEmbedded, runStage, runServe } from './commands/run.ts'
import { status } from './commands/status.ts'
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
  .command('status')
  .description("every hop's place and lag")
  .option('--watch', 'again every two seconds')
  .addOption(json)
  .action((options) => main((config, signal) => status(config, options, signal)))

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
