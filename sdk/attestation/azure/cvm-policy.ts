/** The section `azure-cvm` of a policy. */
import { flag, hex, list, object, oneOf, record, required, text } from '../policy-rules.ts'
import type { PolicySection } from '../policy-rules.ts'
import { issuerRule } from './policy.ts'

/** What isolates a confidential virtual machine from its host. */
export const CVM_HARDWARE = ['sev-snp', 'tdx'] as const

export interface AzureCvmPolicy {
  /** https URLs of the attestation providers, as in `iss`. */
  readonly issuers: readonly string[]
  readonly hardware?: ReadonlyArray<(typeof CVM_HARDWARE)[number]>
  /** Azure's ids of virtual machines. */
  readonly vmIds?: readonly string[]
  /**
   * The launch measurement of Azure's firmware: of SEV-SNP, or MRTD of TDX. It does not cover what the machine boots.
   */
  readonly measurements?: readonly string[]
  /** SEV-SNP. */
  readonly idKeyDigests?: readonly string[]
  readonly authorKeyDigests?: readonly string[]
  /** `x-ms-policy-hash`: the provider's own policy, which decides what becomes a claim. */
  readonly policyHashes?: readonly string[]
  /** Claims that the provider's own policy adds, such as the values of PCRs, each with the values accepted for it. */
  readonly claims?: Readonly<Record<string, readonly string[]>>
  readonly allowDebug?: boolean
}

export const azureCvmSection: PolicySection<AzureCvmPolicy> = {
  tee: 'azure-cvm',
  form: object({
    issuers: required(list(issuerRule)),
    hardware: list(oneOf(...CVM_HARDWARE)),
    vmIds: list(text),
    measurements: list(hex(48)),
    idKeyDigests: list(hex(48)),
    authorKeyDigests: list(hex(48)),
    policyHashes: list(text),
    claims: record(list(text)),
    allowDebug: flag
  }),
  // Nothing in a token of the shared providers says what the machine booted.
  unpinned: ({ claims = {}, policyHashes = [] }) => {
    if (Object.values(claims).length === 0 || Object.values(claims).some(values => values.length === 0)) {
      return 'claims that name the software, from an attestation provider with a policy of your own'
    }
    return policyHashes.length > 0
      ? undefined
      : 'policyHashes beside claims: the policy of the provider decides what they mean'
  }
}
