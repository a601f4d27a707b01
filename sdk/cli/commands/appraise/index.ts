/** polaris appraise KIND: the same checks as `polaris verify`, on saved files. */
import { Command } from 'commander'
import { COULD_NOT_ASK, REFUSED, VERIFIED } from '../../status.ts'
import { documentCommand } from './document.ts'
import { nvidiaCommand } from './nvidia.ts'
import { sevSnpCommand } from './sev-snp.ts'
import { sigstoreCommand } from './sigstore.ts'
import { tdxCommand } from './tdx.ts'
import { tokenCommand } from './token.ts'

/** What can be appraised. Another kind of evidence is one line here. */
const kinds: ReadonlyArray<() => Command> = [
  nvidiaCommand, sigstoreCommand, sevSnpCommand, tdxCommand, tokenCommand, documentCommand
]

export function appraiseCommand (): Command {
  const command = new Command('appraise')
    .description('Appraises evidence in files, from any source, and prints the verdict check by check.')
    .addHelpText(
      'after',
      `
Exit status:
  ${VERIFIED}  verified
  ${REFUSED}  refused: at least one check failed
  ${COULD_NOT_ASK}  could not complete the check: an issuer is unreachable, no usable policy, wrong usage

Examples:
  $ polaris appraise sev-snp --report report.bin --certificates chain.pem --at 2026-06-10T00:00:00Z
  $ polaris appraise tdx --quote quote.bin --collateral collateral.json --at 2026-06-10T02:00:00Z
  $ polaris appraise document attestation.json --policy policy.json
`
    )
  for (const kind of kinds) {
    const subcommand = kind()
    command.addCommand(subcommand.showHelpAfterError(`polaris appraise ${subcommand.name()} --help lists the options`))
  }
  return command
}
