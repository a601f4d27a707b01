/** What the `polaris` command does with its arguments. Exit status: 0 verified, 1 refused, 2 could not ask. */
import { Command, CommanderError } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import { AttestationDocumentError } from '../../lib/protocols/attestation.ts'
import { AttestationError } from '../attestation/attest-keys.ts'
import { AttestationFetchError } from '../attestation/http.ts'
import { AttestationPolicyError } from '../attestation/policy-rules.ts'
import { commands } from './commands/index.ts'
import { isBrokenPipe } from './terminal/output.ts'
import { renderVerdict } from './terminal/render.ts'
import { COULD_NOT_ASK, REFUSED, VERIFIED, UsageError } from './status.ts'

const program = new Command('polaris')
  .description('Verifies what runs behind a Polaris Secure Proxy, and makes encrypted requests to it.')
  .version(manifest.version, '--version', 'print the version')
  .addHelpText('after', `
Exit status:
  ${VERIFIED}  verified
  ${REFUSED}  refused: at least one check failed
  ${COULD_NOT_ASK}  could not ask: no answer, no usable policy, wrong usage

Examples:
  $ polaris policy init https://proxy.example.com > policy.json   # then review it
  $ polaris verify https://proxy.example.com --policy policy.json
  $ polaris fetch https://proxy.example.com/records --policy policy.json
`)

for (const command of commands) program.addCommand(command())

/** Subcommands as well: errors in usage come back here. */
function overrideExit (command: Command): void {
  command.exitOverride()
  command.commands.forEach(overrideExit)
}

/** Runs the command line of this process, and sets its exit status. */
export async function run (): Promise<void> {
  // Whoever reads has had enough. What the exit status says holds all the same.
  process.stdout.on('error', (error: Error) => {
    if (!isBrokenPipe(error)) throw error
  })

  try {
    overrideExit(program)
    await program.parseAsync()
  } catch (error) {
    process.exitCode = COULD_NOT_ASK
    if (error instanceof CommanderError) {
      // Commander has said what there is to say; help is no mistake.
      if (error.exitCode === 0) process.exitCode = VERIFIED
    } else if (error instanceof AttestationError) {
      process.stderr.write(renderVerdict(error.verdict, process.stderr))
      process.exitCode = REFUSED
    } else if (error instanceof AttestationFetchError || error instanceof AttestationDocumentError ||
      error instanceof AttestationPolicyError || error instanceof UsageError) {
      process.stderr.write(`polaris: ${error.message}\n`)
    } else {
      throw error
    }
  }
}
