/** Verification of a proxy's attestation, for Node and browsers. */
export { AttestationDocumentError } from '../../lib/protocols/attestation.ts'
export type { AttestationDocument, AttestedKey, KeyKind, TeeKind } from '../../lib/protocols/attestation.ts'
export { AttestationError, attestKeys, fetchAttestation } from './attest-keys.ts'
export type { AttestedKeys, AttestKeysOptions } from './attest-keys.ts'
export type { Check, Outcome, Verdict } from './checks.ts'
export type { TdxVerifier, VerifyOptions } from './context.ts'
export { AttestationFetchError } from './http.ts'
export { AttestationPolicyError, parseAttestationPolicy } from './policy.ts'
export type {
  AttestationPolicy, AzureMaaPolicy, GooglePolicy, PlatformPolicies, SimulatedPolicy, SnpPolicy, SnpTcb, TdxMeasurement, TdxPolicy
} from './policy.ts'
export type { SnpProduct } from './snp-report.ts'
export { verifyAttestation } from './verify.ts'
