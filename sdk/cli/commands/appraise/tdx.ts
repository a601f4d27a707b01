/** polaris appraise tdx */
import { Command } from 'commander'
import { MEDIA_TYPES } from '../../../../lib/protocols/attestation.ts'
import { appraise } from '../../../attestation/appraise.ts'
import type { TdxCollateral } from '../../../attestation/tdx/collateral/collateral.ts'
import { readProvenance } from '../../provenance.ts'
import { hexOption, policyOf, read, readCertificates, report, rootHash, timeOf, withEvidenceOptions } from './common.ts'
import type { EvidenceOptions } from './common.ts'

interface TdxOptions extends EvidenceOptions {
  readonly quote: string
  readonly collateral?: string
  readonly root?: string
  readonly reportData?: string
}

export function tdxCommand (): Command {
  const command = new Command('tdx')
    .description("A TDX quote, with Intel's collateral about its platform.")
    .requiredOption('--quote <file>', 'the quote, of version 4 or 5')
    .option('--collateral <file>', 'TCB info, identity and revocation lists, JSON; without it, the command asks Intel')
    .option('--root <file>', "trust this root in place of Intel's")
    .option('--report-data <hex>', 'what the quote has to carry, 64 bytes')
  return withEvidenceOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  $ polaris appraise tdx --quote quote.bin
  $ polaris appraise tdx --quote quote.bin --collateral collateral.json --at 2026-06-10T02:00:00Z --policy policy.json
`
    )
    .action(run)
}

async function run (options: TdxOptions): Promise<void> {
  const roots = options.root === undefined ? undefined : (await readCertificates(options.root)).map(rootHash)
  const collateral =
    options.collateral === undefined ? undefined : parse((await read(options.collateral)).toString('utf8'))
  const policy = await policyOf(options, { tdx: {} })
  const verdict = await appraise(
    {
      tee: 'tdx',
      evidence: [[MEDIA_TYPES.tdxQuote, (await read(options.quote)).toString('base64url')]]
    },
    policy,
    {
      now: timeOf(options),
      ...await readProvenance(options, policy, fetch),
      platforms: {
        tdx: {
          ...(roots && { roots }),
          ...(collateral !== undefined && { collateral: async () => collateral as TdxCollateral })
        }
      },
      ...(options.reportData !== undefined && { reportData: hexOption('--report-data', options.reportData, 64) })
    }
  )
  report(verdict, options)
}

/** Collateral is evidence, too: the verifier says what is wrong with it. */
function parse (json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    // No collateral at all.
    return json
  }
}
