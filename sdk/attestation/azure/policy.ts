/** The section `azure-maa` of a policy. */
import { count, flag, hex, list, must, object, required } from '../policy-rules.ts'
import type { PolicySection } from '../policy-rules.ts'

export interface AzureMaaPolicy {
  /** https URLs of the attestation providers, as in `iss`. */
  readonly issuers: readonly string[]
  /** SHA-256 of the confidential computing enforcement policy, which names the containers. */
  readonly hostData?: readonly string[]
  readonly measurements?: readonly string[]
  readonly minimumGuestSvn?: number
  readonly allowDebug?: boolean
}

/** The rule for attestation providers in a policy. */
export const issuerRule = must(
  value => typeof value === 'string' && /^https:\/\/[^/?#\s@]+$/.test(value),
  'must be https://host'
)

export const azureMaaSection: PolicySection<AzureMaaPolicy> = {
  tee: 'azure-maa',
  form: object({
    issuers: required(list(issuerRule)),
    hostData: list(hex(32)),
    measurements: list(hex(48)),
    minimumGuestSvn: count(0xffffffff),
    allowDebug: flag
  }),
  unpinned: ({ hostData = [] }, built) => (hostData.length > 0 || built ? undefined : 'hostData')
}
