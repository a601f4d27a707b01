/** What a proxy has to prove before anything is encrypted to its keys: what a policy says, any TEE, or nothing. */
import { createHash } from 'node:crypto'
import { AttestationError, fetchAttestation } from '../../attestation/attest-keys.ts'
import type { Verdict } from '../../attestation/checks.ts'
import { parseAttestationPolicy } from '../../attestation/policy.ts'
import type { AttestationPolicy } from '../../attestation/policy.ts'
import type { ProvenanceSources } from '../../attestation/provenance/sources.ts'
import { verifyAttestation } from '../../attestation/verify.ts'
import { openPolicy } from '../../cli/appraise.ts'
import { PolarisFetchError } from '../../fetch/errors.ts'
import { fetchKeys } from '../../fetch/keys/published.ts'
import type { ProxyAddress, PublishedKeys } from '../../fetch/keys/published.ts'

/** Keys that may be used, and why. */
export interface Appraised extends PublishedKeys {
  /** Undefined if the proxy was not asked to prove anything. */
  readonly verdict: Verdict | undefined
}

export interface Trust {
  /** Whether what passes is the program that the user reviewed. If not, every answer says so. */
  readonly verified: boolean
  /** Why it is not, for people. */
  readonly warning: string | undefined
  /** SHA-256 of the policy file, in hexadecimal. */
  readonly policyHash: string | undefined
  /**
   * Asks the proxy for its keys and for proof of them, with a fresh nonce.
   *
   * @throws {AttestationError} it does not prove them
   * @throws {AttestationFetchError | AttestationDocumentError | PolarisFetchError} there is no answer to judge
   */
  appraise (proxy: ProxyAddress): Promise<Appraised>
  /**
   * The same for the keys of TLS connections. Undefined if the proxy is not asked to prove anything: then nothing tells
   * its keys from others.
   *
   * @param evidence asks for evidence, on the connection that it is about
   */
  readonly appraiseTls: ((proxy: ProxyAddress, evidence: typeof globalThis.fetch) => Promise<AppraisedTls>) | undefined
}

/** TLS keys that may be used, and why. */
export interface AppraisedTls {
  /** SubjectPublicKeyInfo, DER. */
  readonly keys: readonly Uint8Array[]
  /** In seconds. */
  readonly maxAge: number
  readonly verdict: Verdict
}

/** @throws {AttestationPolicyError} the policy is malformed, or pins nothing */
export function trustPolicy (text: string, maxAge: number, provenance?: ProvenanceSources): Trust {
  const policy = parseAttestationPolicy(text)
  const { development = false, insecure = false } = policy
  return {
    verified: !development && !insecure,
    warning: development
      ? 'the policy accepts simulated evidence, which proves nothing: for development only'
      : insecure ? 'the policy pins no software, so any program on genuine hardware passes' : undefined,
    policyHash: createHash('sha256').update(text).digest('hex'),
    ...appraisals({ policyFor: () => policy, maxAge, provenance })
  }
}

/** Genuine hardware with any software, or simulated evidence. */
export function trustDevelopment (maxAge: number): Trust {
  return {
    verified: false,
    warning: 'no policy was given, so any software passes, and simulated evidence too: for development only',
    policyHash: undefined,
    ...appraisals({ policyFor: document => openPolicy(document, true), maxAge })
  }
}

/** Whatever key is offered. */
export function trustAnything (): Trust {
  return {
    verified: false,
    warning: 'insecure: the proxy does not prove its keys, so an attacker on the way can read everything',
    policyHash: undefined,
    appraise: async proxy => ({ ...await fetchKeys(proxy), verdict: undefined }),
    appraiseTls: undefined
  }
}

interface Appraisal {
  readonly policyFor: (document: Uint8Array) => AttestationPolicy
  readonly maxAge: number
  readonly provenance?: ProvenanceSources | undefined
}

function appraisals ({ policyFor, maxAge, provenance }: Appraisal): Pick<Trust, 'appraise' | 'appraiseTls'> {
  async function prove (proxy: ProxyAddress, evidence: typeof globalThis.fetch): Promise<Verdict> {
    const { document, nonce } = await fetchAttestation(proxy.baseURL, evidence)
    const verdict = await verifyAttestation(
      document, policyFor(document), { nonce, fetch: proxy.fetch, ...provenance && { provenance } }
    )
    if (!verdict.verified) throw new AttestationError(verdict)
    return verdict
  }

  return {
    async appraise (proxy) {
      const verdict = await prove(proxy, proxy.fetch)
      const octets = verdict.keys.find(({ kind }) => kind === 'ohttp-keys')?.value
      if (octets === undefined) {
        throw new PolarisFetchError(
          'ERR_POLARIS_NO_USABLE_KEY', 'The proxy proves no OHTTP keys: set POLARIS_CONTAINER_ENABLE_OHTTP there'
        )
      }
      return { octets, maxAge, verdict }
    },
    async appraiseTls (proxy, evidence) {
      const verdict = await prove(proxy, evidence)
      const keys = verdict.keys.filter(({ kind }) => kind === 'tls-spki').map(({ value }) => value)
      if (keys.length === 0) {
        throw new PolarisFetchError(
          'ERR_POLARIS_NO_USABLE_KEY',
          'The proxy proves no TLS keys: set POLARIS_CONTAINER_TLS there, and name its TLS port'
        )
      }
      return { keys, maxAge, verdict }
    }
  }
}
