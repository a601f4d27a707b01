/** polaris appraise token */
import { Command } from 'commander'
import { decodeJwt } from 'jose'
import { MEDIA_TYPES } from '../../../../lib/protocols/attestation.ts'
import { appraise } from '../../../attestation/appraise.ts'
import { GOOGLE_ISSUER } from '../../../attestation/google/verifier.ts'
import { MAA_ISSUER } from '../../appraise.ts'
import { readProvenance } from '../../provenance.ts'
import { policyOf, read, readJson, report, timeOf, withEvidenceOptions } from './common.ts'
import type { EvidenceOptions } from './common.ts'

interface TokenOptions extends EvidenceOptions {
  readonly token: string
  readonly keys?: string
}

export function tokenCommand (): Command {
  const command = new Command('token')
    .description('A token of Google Confidential Space or of Microsoft Azure Attestation.')
    .requiredOption('--token <file>', 'the token, a JWT')
    .option('--keys <file>', "the issuer's keys, a JWK set; without it, the issuer is asked")
  return withEvidenceOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  $ polaris appraise token --token token.jwt --keys jwks.json --at 2026-06-10T00:00:00Z --policy policy.json
`
    )
    .action(run)
}

async function run (options: TokenOptions): Promise<void> {
  const token = (await read(options.token)).toString('latin1').trim()
  const { aud, iss, 'x-ms-attestation-type': type } = claimsOf(token)
  const issuer = typeof iss === 'string' ? iss : ''
  const google = issuer === GOOGLE_ISSUER
  const azure = type === 'azurevm' ? 'azure-cvm' : 'azure-maa'
  const audience = typeof aud === 'string' && aud !== '' ? aud : 'none'
  const policy = await policyOf(
    options,
    google
      ? { 'google-confidential-space': { audience } }
      : { [azure]: { issuers: MAA_ISSUER.test(issuer) ? [issuer] : [] } }
  )
  const verdict = await appraise(
    {
      tee: google ? 'google-confidential-space' : azure,
      evidence: [[google ? MEDIA_TYPES.eatJwt : MEDIA_TYPES.jwt, token]]
    },
    policy,
    {
      now: timeOf(options),
      ...await readProvenance(options, policy, fetch),
      ...(options.keys !== undefined && { keySets: { [issuer]: await readJson(options.keys) } })
    }
  )
  report(verdict, options)
}

function claimsOf (token: string) {
  try {
    return decodeJwt(token)
  } catch {
    // No token: the verifier says so.
    return {}
  }
}
