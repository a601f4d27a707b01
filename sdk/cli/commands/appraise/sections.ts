/** The parts of a policy that are about no platform: what `appraise nvidia` and `appraise sigstore` take from it. */
import { parseAttestationPolicy } from '../../../attestation/policy.ts'
import type { AttestationPolicy } from '../../../attestation/policy.ts'
import { read } from './common.ts'
import type { CommonOptions } from './common.ts'

/** @throws {UsageError | AttestationPolicyError} */
export async function deviceSection ({ policy }: CommonOptions): Promise<NonNullable<AttestationPolicy['devices']>> {
  return policy === undefined ? {} : parseAttestationPolicy((await read(policy)).toString('utf8')).devices ?? {}
}
