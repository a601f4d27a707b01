/** polaris appraise document FILE */
import { Command, Option } from 'commander'
import { decodeJwt } from 'jose'
import { MAX_NONCE_BYTES, MIN_NONCE_BYTES, parseAttestationDocument } from '../../../../lib/protocols/attestation.ts'
import { decodeBase64url } from '../../../../lib/protocols/base64url.ts'
import { appraiseDocument } from '../../../attestation/appraise.ts'
import type { TdxCollateral } from '../../../attestation/tdx/collateral/collateral.ts'
import { openPolicy } from '../../appraise.ts'
import { readProvenance } from '../../provenance.ts'
import { UsageError } from '../../status.ts'
import { policyOf, read, readCertificates, readJson, report, rootHash, timeOf, withEvidenceOptions } from './common.ts'
import type { EvidenceOptions } from './common.ts'

interface DocumentOptions extends EvidenceOptions {
  readonly nonce?: string
  readonly keys?: string
  readonly collateral?: string
  readonly crl: readonly string[]
  readonly root?: string
  readonly development?: boolean
}

export function documentCommand (): Command {
  const command = new Command('document')
    .description('A saved attestation document of a proxy, with any kind of evidence.')
    .argument('<file>', 'the document, JSON')
    .option('--nonce <base64url>', 'the nonce that it has to answer; without it, freshness is not checked')
    .option('--keys <file>', "the keys of the token's issuer, a JWK set; without it, the issuer is asked")
    .option('--collateral <file>', "Intel's collateral, JSON; without it, the command asks Intel")
    .addOption(new Option('--crl <file...>', 'revocation lists of AMD, DER').default([], 'none'))
    .option('--root <file>', "trust this root in place of Intel's")
    .option('--development', 'without a policy: accept simulated evidence')
  return withEvidenceOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  $ polaris appraise document attestation.json --policy policy.json --at 2026-06-10T00:00:00Z
`
    )
    .action(run)
}

async function run (file: string, options: DocumentOptions): Promise<void> {
  const document = await read(file)
  const { development = false } = options
  const policy = options.policy === undefined ? openPolicy(document, development) : await policyOf(options, {})
  const { evidence } = parseAttestationDocument(document)
  const collateral =
    options.collateral === undefined ? undefined : ((await readJson(options.collateral)) as TdxCollateral)
  const verdict = await appraiseDocument(document, policy, {
    now: timeOf(options),
    ...await readProvenance(options, policy, fetch),
    ...(options.nonce !== undefined && { nonce: nonceOf(options.nonce) }),
    ...(options.keys !== undefined && {
      keySets: { [issuerOf(evidence[0]?.[1] ?? '')]: await readJson(options.keys) }
    }),
    platforms: {
      tdx: {
        ...(collateral !== undefined && { collateral }),
        ...(options.root !== undefined && { roots: (await readCertificates(options.root)).map(rootHash) })
      },
      'sev-snp': { revocationLists: await Promise.all(options.crl.map(read)) }
    }
  })
  report(verdict, options)
}

function nonceOf (text: string): Uint8Array {
  const nonce = decodeBase64url(text)
  if (!nonce || nonce.length < MIN_NONCE_BYTES || nonce.length > MAX_NONCE_BYTES) {
    throw new UsageError(`--nonce takes ${MIN_NONCE_BYTES} to ${MAX_NONCE_BYTES} bytes in base64url`)
  }
  return nonce
}

function issuerOf (token: string): string {
  try {
    return decodeJwt(token).iss ?? ''
  } catch {
    // Not every evidence is a token.
    return ''
  }
}
