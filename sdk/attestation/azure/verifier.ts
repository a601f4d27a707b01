/**
 * Appraises a token of Microsoft Azure Attestation for confidential containers on SEV-SNP: Microsoft verified the
 * report and says what was in it; host data names the containers that may run.
 */
import { check, oneOfCheck, show, skipped } from '../checks.ts'
import type { Findings } from '../checks.ts'
import type { Verifier, VerifierContext } from '../context.ts'
import { bindingCheck, claim, issueTime } from '../tokens/token.ts'
import { azureMaaSection } from './policy.ts'
import type { AzureMaaPolicy } from './policy.ts'
import { readAzureToken } from './token.ts'

export const azureMaa: Verifier<AzureMaaPolicy> = { ...azureMaaSection, verify: verifyAzureMaa }

async function verifyAzureMaa (context: VerifierContext, policy: AzureMaaPolicy): Promise<Findings> {
  const { checks, claims, issuer } = await readAzureToken(context, policy.issuers)
  if (!claims) return { checks, presented: {} }
  const snp = (name: string) => claim(claims, `x-ms-sevsnpvm-${name}`)
  const { minimumGuestSvn } = policy
  const guestSvn = snp('guestsvn')
  return {
    checks: [
      ...checks,
      bindingCheck(context, claim(claims, 'x-ms-runtime', 'nonce'), 'The nonce in the runtime data'),
      check(
        'attestation-type',
        claim(claims, 'x-ms-attestation-type') === 'sevsnpvm',
        `The attestation type is ${show(claim(claims, 'x-ms-attestation-type'))}`
      ),
      check(
        'compliance',
        claim(claims, 'x-ms-compliance-status') === 'azure-compliant-uvm',
        `The compliance status is ${show(claim(claims, 'x-ms-compliance-status'))}`
      ),
      check(
        'debug',
        snp('is-debuggable') === false || policy.allowDebug === true,
        `Debuggable is ${show(snp('is-debuggable'))}`
      ),
      check(
        'migration',
        snp('migration-allowed') === false,
        `A migration agent is allowed: ${show(snp('migration-allowed'))}`
      ),
      check(
        'vmpl',
        snp('vmpl') === 0,
        `The report was asked for at privilege level ${show(snp('vmpl'))}, 0 is expected`
      ),
      oneOfCheck('host-data', 'The host data', policy.hostData, snp('hostdata')),
      oneOfCheck('measurement', 'The launch measurement', policy.measurements, snp('launchmeasurement')),
      minimumGuestSvn === undefined
        ? skipped('guest-svn', `The guest's security version is ${show(guestSvn)}; the policy accepts any`)
        : check(
          'guest-svn',
          typeof guestSvn === 'number' && guestSvn >= minimumGuestSvn,
          `The guest's security version is ${show(guestSvn)}, at least ${minimumGuestSvn} is expected`
        )
    ],
    issuedAt: issueTime(claims),
    running: { digest: typeof snp('hostdata') === 'string' ? String(snp('hostdata')) : undefined },
    machine: {
      name: 'AMD SEV-SNP virtual machine',
      vouchedBy: 'Microsoft',
      exposed: snp('is-debuggable') === false ? undefined : 'its host can look into'
    },
    presented: {
      'azure-maa': {
        issuers: [issuer],
        ...(typeof snp('hostdata') === 'string' && { hostData: [String(snp('hostdata'))] }),
        ...(typeof guestSvn === 'number' && { minimumGuestSvn: guestSvn }),
        ...(snp('is-debuggable') !== false && { allowDebug: true })
      }
    }
  }
}
