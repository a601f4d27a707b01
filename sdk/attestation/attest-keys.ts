/** Asks a proxy to prove its keys: a fresh nonce, one request, one verdict. */
import type { AnyKeyKind } from '../../lib/protocols/attestation.ts'
import { MAX_DOCUMENT_BYTES, MIN_NONCE_BYTES } from '../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../lib/protocols/base64url.ts'
import { withoutTrailingSlashes } from '../../lib/protocols/trailing-slashes.ts'
import type { Verdict } from './checks.ts'
import type { VerifyOptions } from './context.ts'
import { fetchDocument } from './http.ts'
import { parseAttestationPolicy } from './policy.ts'
import type { AttestationPolicy } from './policy.ts'
import { verifyAttestation } from './verify.ts'
import type { Bytes } from '../../lib/protocols/bytes.ts'

export const ATTESTATION_PATH = '/polaris-container/attestation'

export interface AttestKeysOptions extends Omit<VerifyOptions, 'nonce'> {
  /** Of the proxy; a path in it is kept as a prefix. */
  readonly baseURL: string | URL
  readonly policy: AttestationPolicy
  /** Ends the waiting for evidence. */
  readonly signal?: AbortSignal
}

export interface AttestedKeys {
  readonly verdict: Verdict
  /** By kind, the one to encrypt to first. Empty unless the verdict is `verified`. */
  readonly keys: ReadonlyMap<AnyKeyKind, ReadonlyArray<Bytes>>
}

/**
 * Asks with a fresh nonce, and appraises the answer.
 *
 * @example
 * ```ts
 * import { attestKeys } from '@polaris-secure-proxy/sdk/attestation'
 *
 * const policy = { version: 1, development: true, insecure: true, platforms: { simulated: {} } } as const
 * const { verdict, keys } = await attestKeys({ baseURL: 'https://proxy.example', policy })
 * console.log(verdict.verified, [...keys.keys()])
 * ```
 *
 * @throws {AttestationFetchError} the proxy or an issuer is unreachable, or has no answer now
 * @throws {AttestationDocumentError} the answer is not an attestation document
 * @throws {AttestationPolicyError}
 */
export async function attestKeys (
  { baseURL, policy, signal, ...options }: AttestKeysOptions
): Promise<AttestedKeys> {
  parseAttestationPolicy(policy, options.verifiers)
  const { document, nonce } = await fetchAttestation(baseURL, options.fetch, signal)
  const verdict = await verifyAttestation(document, policy, { ...options, nonce })
  const keys = new Map<AnyKeyKind, Array<Bytes>>()
  for (const { kind, value } of verdict.verified ? verdict.keys : []) keys.set(kind, [...(keys.get(kind) ?? []), value])
  return { verdict, keys }
}

/**
 * Asks with a fresh nonce, and looks at nothing yet. A proxy that is busy (503 with Retry-After) is asked again, up to
 * five times within 40 seconds.
 *
 * @example
 * ```ts
 * import { fetchAttestation } from '@polaris-secure-proxy/sdk/attestation'
 *
 * const { document, nonce } = await fetchAttestation('https://proxy.example')
 * console.log(nonce.length, JSON.parse(new TextDecoder().decode(document)).tee)
 * ```
 *
 * @throws {AttestationFetchError}
 * @throws the signal's reason
 */
export async function fetchAttestation (
  baseURL: string | URL,
  fetcher = fetch,
  signal?: AbortSignal
): Promise<{ document: Bytes; nonce: Bytes }> {
  const nonce = crypto.getRandomValues(new Uint8Array(2 * MIN_NONCE_BYTES))
  const url = new URL(baseURL)
  url.pathname = withoutTrailingSlashes(url.pathname) + ATTESTATION_PATH
  url.search = `?nonce=${encodeBase64url(nonce)}`
  url.hash = ''
  return { document: (await fetchDocument(fetcher, url, MAX_DOCUMENT_BYTES, signal)).body, nonce }
}

/** What the SDK throws where a verdict does not verify. The message names the checks that failed. */
export class AttestationError extends Error {
  override readonly name = 'AttestationError'
  readonly code = 'ERR_ATTESTATION'
  readonly verdict: Verdict

  constructor (verdict: Verdict) {
    const failed = verdict.checks.filter(({ outcome }) => outcome === 'failed')
    super(`Attestation failed: ${failed.map(({ name, detail }) => `${name} (${detail})`).join('; ')}`)
    this.verdict = verdict
  }
}
