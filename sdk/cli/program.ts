/** What the `polaris` command does with its arguments. Exit status: 0 verified, 1 refused, 2 could not complete it. */
import { Command, CommanderError } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import { commands } from './commands/index.ts'
import { explainFrom } from './network/explain.ts'
import { report } from './report.ts'
import { COULD_NOT_ASK, REFUSED, VERIFIED } from './status.ts'
import { asUsageError, isBrokenPipe } from './terminal/output.ts'
import { json } from './terminal/render.ts'

const program = new Command('polaris')
  .description('Verifies what runs behind a Polaris Secure Proxy, and makes encrypted requests to it.')
  .version(manifest.version, '--version', 'print the version')
  .addHelpText('after', `
Exit status:
  ${VERIFIED}  verified
  ${REFUSED}  refused: at least one check failed
  ${COULD_NOT_ASK}  could not complete it: no answer, no usable policy, wrong usage

Environment:
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY (also in lower case), as for curl; NO_COLOR

Examples:
  $ polaris policy init https://proxy.example.com > policy.json   # then review it
  $ polaris verify https://proxy.example.com --policy policy.json
  $ polaris fetch https://proxy.example.com/records --policy policy.json
  $ polaris doctor https://proxy.example.com   # when something does not work
`)

for (const command of commands) program.addCommand(command())

/** Subcommands as well: errors in usage come back here. */
function overrideExit (command: Command): void {
  command.exitOverride()
  command.commands.forEach(overrideExit)
}

/** Runs the command line of this process, and sets its exit status. */
export async function run (): Promise<void> {
  // A reader that has had enough is no error. A full disk is one, whatever has been found out.
  process.stdout.on('error', (error: Error) => {
    if (isBrokenPipe(error)) return
    process.stderr.write(report(asUsageError(error, 'to standard output')).text)
    process.exit(COULD_NOT_ASK)
  })
  // Nothing is left to say it with; the exit status holds all the same.
  process.stderr.on('error', () => { process.exitCode ??= COULD_NOT_ASK })

  try {
    overrideExit(program)
    await program.parseAsync()
  } catch (error) {
    const { status, text, code, message } = report(error)
    process.stderr.write(text + explainFrom(error, process.env))
    if (process.argv.includes('--json') && !(error instanceof CommanderError)) {
      process.stdout.write(json({ error: { code, message } }))
    }
    process.exitCode = status
  }
}
