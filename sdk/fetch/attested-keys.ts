/** Keys that the proxy proves: nothing is encrypted to a key that attestation evidence does not cover. */
import { AttestationError, attestKeys } from '../attestation/attest-keys.ts'
import type { AttestKeysOptions } from '../attestation/attest-keys.ts'
import { parseAttestationPolicy } from '../attestation/policy.ts'
import { PolarisFetchError } from './errors.ts'
import type { KeySource } from './keys.ts'

export interface AttestedKeysOptions extends Omit<AttestKeysOptions, 'baseURL'> {
  /** How long a proof counts, in seconds; then a new one is asked for. 600 where left out. */
  readonly maxAge?: number
}

/**
 * For the option `keys` of createPolarisFetch. The proxy has to prove its keys anew before the first request, whenever
 * they change and whenever the last proof is too old. While it cannot, every request fails.
 *
 * The source throws AttestationError, AttestationFetchError or AttestationDocumentError, and so does the fetch.
 *
 * @throws {AttestationPolicyError} the policy is malformed, or pins nothing
 */
export function attestedKeys ({ maxAge = 600, ...options }: AttestedKeysOptions): KeySource {
  parseAttestationPolicy(options.policy)
  return async ({ baseURL, fetch }, kind) => {
    const { verdict, keys } = await attestKeys({ fetch, ...options, baseURL })
    if (!verdict.verified) throw new AttestationError(verdict)
    const octets = keys.get(kind)?.[0]
    if (octets === undefined) throw new PolarisFetchError('ERR_POLARIS_NO_USABLE_KEY', `The proxy proves no keys of the kind ${kind}: this protocol is not enabled there`)
    return { octets, maxAge }
  }
}
