/** The section `google-confidential-space` of a policy. */
import { anyText, flag, list, matching, object, record, required, text } from '../policy-rules.ts'
import type { PolicySection } from '../policy-rules.ts'

export interface GooglePolicy {
  /** The audience that the proxy asks for; `POLARIS_CONTAINER_ATTESTATION_AUDIENCE`. */
  readonly audience: string
  /** `sha256:` and 64 hexadecimal digits each. */
  readonly imageDigests?: readonly string[]
  readonly projectIds?: readonly string[]
  readonly serviceAccounts?: readonly string[]
  /** `hwmodel`. Left out: the models with memory encryption, see CONFIDENTIAL_MODELS. */
  readonly hardwareModels?: readonly string[]
  /** Environment variables that the operator may override, each with the values accepted for it. Others fail. */
  readonly environment?: Readonly<Record<string, readonly string[]>>
  /** The command line that the operator set instead of the image's. Left out: none may be set. */
  readonly command?: readonly string[]
  /** Accepts images of Confidential Space that allow debugging. */
  readonly allowDebug?: boolean
}

/**
 * Hardware that keeps memory from the host: what Google's reference of token claims lists, but for `GCP_SHIELDED_VM`,
 * for which its verifier signs tokens as well.
 */
export const CONFIDENTIAL_MODELS = ['GCP_AMD_SEV', 'GCP_AMD_SEV_ES', 'GCP_INTEL_TDX'] as const

export const googleSection: PolicySection<GooglePolicy> = {
  tee: 'google-confidential-space',
  form: object({
    audience: required(text),
    imageDigests: list(matching(/^sha256:[\da-f]{64}$/)),
    projectIds: list(text),
    serviceAccounts: list(text),
    hardwareModels: list(text),
    environment: record(list(anyText)),
    command: list(anyText),
    allowDebug: flag
  }),
  unpinned: ({ imageDigests = [] }, built) => (imageDigests.length > 0 || built ? undefined : 'imageDigests')
}
