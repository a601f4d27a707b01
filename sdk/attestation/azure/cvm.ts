/**
 * Appraises a token of Microsoft Azure Attestation for a confidential virtual machine: the outer claims are about the
 * virtual TPM and the boot, `x-ms-isolation-tee` is about the hardware. Neither names the program, unless the provider
 * has a policy of the operator's own that makes claims of the TPM's registers.
 */
import { check, oneOfCheck, show, skipped } from '../checks.ts'
import type { Check, Findings } from '../checks.ts'
import type { Verifier, VerifierContext } from '../context.ts'
import { bindingCheck, claim, issueTime } from '../tokens/token.ts'
import { CVM_HARDWARE, azureCvmSection } from './cvm-policy.ts'
import type { AzureCvmPolicy } from './cvm-policy.ts'
import { readAzureToken } from './token.ts'

/** By the names in tokens. */
const HARDWARE: Readonly<Record<string, (typeof CVM_HARDWARE)[number]>> = { sevsnpvm: 'sev-snp', tdxvm: 'tdx' }

export const azureCvm: Verifier<AzureCvmPolicy> = { ...azureCvmSection, verify: verifyAzureCvm }

async function verifyAzureCvm (context: VerifierContext, policy: AzureCvmPolicy): Promise<Findings> {
  const { checks, claims, issuer } = await readAzureToken(context, policy.issuers)
  if (!claims) return { checks, presented: {} }
  const outer = (name: string) => claim(claims, name)
  const inner = (name: string) => claim(claims, 'x-ms-isolation-tee', name)
  const isolation = inner('x-ms-attestation-type')
  const hardware = typeof isolation === 'string' && Object.hasOwn(HARDWARE, isolation) ? HARDWARE[isolation] : isolation
  const isSnp = hardware === 'sev-snp'
  const measurement = isSnp ? inner('x-ms-sevsnpvm-launchmeasurement') : inner('tdx_mrtd')
  const policyHash = outer('x-ms-policy-hash')
  const vmId = outer('x-ms-azurevm-vmid')
  return {
    checks: [
      ...checks,
      bindingCheck(context, boundNonce(outer('x-ms-runtime')), 'The nonce in the runtime data'),
      check(
        'attestation-type', outer('x-ms-attestation-type') === 'azurevm',
        `The attestation type is ${show(outer('x-ms-attestation-type'))}`
      ),
      oneOfCheck('hardware', 'The hardware', policy.hardware ?? CVM_HARDWARE, hardware),
      check(
        'compliance',
        inner('x-ms-compliance-status') === 'azure-compliant-cvm',
        `The compliance status is ${show(inner('x-ms-compliance-status'))}`
      ),
      check('secure-boot', outer('secureboot') === true, `Secure boot is ${show(outer('secureboot'))}`),
      debugCheck(outer, isSnp ? inner('x-ms-sevsnpvm-is-debuggable') : inner('tdx_td_attributes_debug'), policy),
      ...isSnp ? snpChecks(inner) : [skipped('migration', 'Not in tokens about TDX, nor the level of privilege')],
      // Absent from tokens about TDX: what is pinned and not there is refused.
      oneOfCheck('id-key', 'The digest of the identity key', policy.idKeyDigests, inner('x-ms-sevsnpvm-idkeydigest')),
      oneOfCheck(
        'author-key', 'The digest of the author key', policy.authorKeyDigests, inner('x-ms-sevsnpvm-authorkeydigest')
      ),
      oneOfCheck('measurement', "The measurement of Azure's firmware", policy.measurements, measurement),
      oneOfCheck('vm-id', 'The virtual machine', policy.vmIds, vmId),
      oneOfCheck('provider-policy', "The hash of the provider's policy", policy.policyHashes, policyHash),
      claimsCheck(outer, policy.claims)
    ],
    issuedAt: issueTime(claims),
    machine: {
      name: isSnp ? 'AMD SEV-SNP virtual machine' : 'Intel TDX virtual machine',
      vouchedBy: 'Microsoft',
      // By the policy's leave, or else the check `debug` has failed.
      exposed: policy.allowDebug ? 'may be debugged from outside' : undefined
    },
    presented: {
      'azure-cvm': {
        issuers: [issuer],
        ...typeof vmId === 'string' && { vmIds: [vmId] },
        ...typeof policyHash === 'string' && { policyHashes: [policyHash] },
        ...typeof measurement === 'string' && /^[\da-f]{96}$/.test(measurement) && { measurements: [measurement] }
      }
    }
  }
}

/**
 * As it was given, or as the attestation library of guests passes it on: a member of the client's payload, in base64. A
 * token with both would be about two things.
 */
function boundNonce (runtime: unknown): unknown {
  const direct = claim(runtime, 'nonce')
  const payload = claim(runtime, 'client-payload', 'nonce')
  if (direct !== undefined || typeof payload !== 'string') return payload === undefined ? direct : undefined
  try {
    return atob(payload)
  } catch {
    // Not base64: no nonce.
    return undefined
  }
}

function debugCheck (outer: (name: string) => unknown, debuggable: unknown, policy: AzureCvmPolicy): Check {
  const boot = ['bootdebug', 'kerneldebug', 'hypervisordebug'].filter(
    name => outer(`x-ms-azurevm-${name}-enabled`) === true
  )
  return check(
    'debug',
    (debuggable === false && boot.length === 0) || policy.allowDebug === true,
    `Debuggable is ${show(debuggable)}${boot.length > 0 ? `, and ${boot.join(', ')} is on` : ''}`
  )
}

function snpChecks (inner: (name: string) => unknown): Check[] {
  const snp = (name: string) => inner(`x-ms-sevsnpvm-${name}`)
  return [
    check(
      'migration', snp('migration-allowed') === false, `A migration agent is allowed: ${show(snp('migration-allowed'))}`
    ),
    check('vmpl', snp('vmpl') === 0, `The report was asked for at privilege level ${show(snp('vmpl'))}, 0 is expected`)
  ]
}

/** Every claim that the policy names, and those alone. */
function claimsCheck (outer: (name: string) => unknown, accepted: AzureCvmPolicy['claims']): Check {
  const name = 'software'
  if (!accepted) {
    return skipped(name, 'The policy names no claim about the software: the machine may have booted anything')
  }
  const refused = Object.entries(accepted).filter(([claimed, values]) => !values.includes(textOf(outer(claimed))))
  return check(
    name,
    refused.length === 0,
    refused.length === 0
      ? `The claims ${show(Object.keys(accepted))} are as the policy accepts`
      : `The policy does not accept ${refused.map(([claimed]) => `${claimed} ${show(outer(claimed))}`).join(', ')}`
  )
}

function textOf (value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value) ?? ''
}
