/** The parts of a policy that are about no platform: what `appraise nvidia` and `appraise sigstore` take from it. */
import { parseAttestationPolicy } from '../../../attestation/policy.ts'
import type { AttestationPolicy } from '../../../attestation/policy.ts'
import { readPolicy } from '../../appraise.ts'
import { UsageError } from '../../status.ts'
import type { CommonOptions } from './common.ts'

/** @throws {UsageError | AttestationPolicyError} */
export async function deviceSection ({ policy }: CommonOptions): Promise<NonNullable<AttestationPolicy['devices']>> {
  return policy === undefined ? {} : parseAttestationPolicy(await readPolicy(policy)).devices ?? {}
}

/** @throws {UsageError | AttestationPolicyError} */
export async function provenanceSection ({ policy }: CommonOptions): Promise<AttestationPolicy['provenance']> {
  if (policy === undefined) return undefined
  const { provenance } = parseAttestationPolicy(await readPolicy(policy))
  if (!provenance) throw new UsageError(`${policy} has no provenance: add "provenance": { "repository": "owner/name" }`)
  return provenance
}
