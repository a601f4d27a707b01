/** Keys that the proxy proves: nothing is encrypted to a key that attestation evidence does not cover. */
import type { VerifyOptions } from '../../attestation/context.ts'
import { parseAttestationPolicy } from '../../attestation/policy.ts'
import type { AttestationPolicy } from '../../attestation/policy.ts'
import { PolarisFetchError } from '../errors.ts'
import type { KeySource } from './published.ts'

export interface AttestationOptions extends Omit<VerifyOptions, 'nonce'> {
  readonly policy: AttestationPolicy
  /** How long a proof counts, in seconds; then a new one is asked for. 600 where left out. */
  readonly maxAge?: number
}

/**
 * The proxy has to prove its keys before the first request, whenever they change and whenever the last proof is too
 * old. While it cannot, every request fails, with AttestationError, AttestationFetchError or AttestationDocumentError.
 *
 * @throws {AttestationPolicyError} the policy is malformed, or pins nothing
 */
export function attestedKeys (attestation: AttestationPolicy | AttestationOptions): KeySource {
  const { policy, maxAge = 600, ...options } = 'policy' in attestation ? attestation : { policy: attestation }
  parseAttestationPolicy(policy, options.verifiers)
  return async ({ baseURL, fetch }, kind) => {
    const { attestKeys, AttestationError } = await verifiers()
    const { verdict, keys } = await attestKeys({ fetch, ...options, policy, baseURL })
    if (!verdict.verified) throw new AttestationError(verdict)
    const octets = keys.get(kind)?.[0]
    if (octets === undefined) throw new PolarisFetchError('ERR_POLARIS_NO_USABLE_KEY', `The proxy proves no keys of the kind ${kind}: this protocol is not enabled there`)
    return { octets, maxAge }
  }
}

/** A file of their own, larger than all the rest, for those who use them. */
async function verifiers () {
  try {
    return await import('../../attestation/index.ts')
  } catch (cause) {
    throw new PolarisFetchError('ERR_POLARIS_KEYS_UNAVAILABLE', 'What verifies attestation evidence cannot be loaded. Nothing was sent', { cause })
  }
}
