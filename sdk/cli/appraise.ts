/**
 * What all commands begin with: ask a proxy, and appraise its answer by a policy or, without one, by what it presents.
 */
import { readFile } from 'node:fs/promises'
import { decodeJwt } from 'jose'
import { parseAttestationDocument } from '../../lib/protocols/attestation.ts'
import { fetchAttestation } from '../attestation/attest-keys.ts'
import type { Verdict } from '../attestation/checks.ts'
import { parseAttestationPolicy } from '../attestation/policy.ts'
import type { AttestationPolicy } from '../attestation/policy.ts'
import { verifyAttestation } from '../attestation/verify.ts'
import type { Network } from './network/network.ts'
import type { ProvenanceSources } from '../attestation/provenance/sources.ts'
import { readProvenance } from './provenance.ts'
import type { ProvenanceOptions } from './provenance.ts'
import { UsageError } from './status.ts'

/** Microsoft's attestation providers, shared and private ones. */
export const MAA_ISSUER = /^https:\/\/[\w-]+(?:\.[\w-]+)?\.attest\.azure\.net$/

export interface AppraiseOptions extends ProvenanceOptions {
  /** Path of a policy. */
  readonly policy?: string
  /** Accepts simulated evidence if there is no policy. */
  readonly development?: boolean
}

/**
 * @param network how to reach the proxy and the issuers
 * @throws {UsageError} URL or policy file
 * @throws {AttestationFetchError | AttestationDocumentError | AttestationPolicyError}
 */
export async function appraise (
  url: string, options: AppraiseOptions, { fetch }: Pick<Network, 'fetch'>
): Promise<Verdict> {
  return (await appraiseAnswer(url, options, { fetch })).verdict
}

/** What the proxy answered, and by what it was appraised. */
export interface Appraisal {
  readonly verdict: Verdict
  readonly document: Uint8Array<ArrayBuffer>
  readonly nonce: Uint8Array<ArrayBuffer>
  readonly at: Date
  readonly policy: AttestationPolicy
  readonly sources: { readonly provenance?: ProvenanceSources }
}

/**
 * @param issuers reaches the issuers of evidence; the same as the proxy, if absent
 * @throws as `appraise`
 */
export async function appraiseAnswer (
  url: string, options: AppraiseOptions, { fetch }: Pick<Network, 'fetch'>, issuers: typeof fetch = fetch
): Promise<Appraisal> {
  const { development = false } = options
  const { username, password } = parseUrl(url)
  if (username !== '' || password !== '') throw new UsageError('a URL must not contain credentials: remove them')
  const given = options.policy === undefined ? undefined : parseAttestationPolicy(await readPolicy(options.policy))
  const sources = await readProvenance(options, given, fetch)
  const { document, nonce } = await fetchAttestation(url, fetch)
  const policy = given ?? openPolicy(document, development)
  const at = new Date()
  const verdict = await verifyAttestation(document, policy, { nonce, now: at, fetch: issuers, ...sources })
  return { verdict, document, nonce, at, policy, sources }
}

/** What a user does about simulated evidence that was refused; empty for other verdicts. Ends with a newline. */
export function adviseOnSimulated ({ verified, tee }: Verdict, { policy, development }: AppraiseOptions): string {
  if (verified || tee !== 'simulated') return ''
  if (policy === undefined) {
    return development
      ? ''
      : 'polaris: this deployment presents simulated evidence, which proves nothing: for ' +
      'development, say --development\n'
  }
  return 'polaris: this deployment presents simulated evidence, and the policy does not accept it: for development, ' +
    'make one with polaris policy init --development\n'
}

/** @throws {UsageError} */
export function parseUrl (text: string): URL {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) throw new UsageError(`not an http or https URL: ${text}`)
  return url
}

/**
 * The text of a policy: UTF-8, or UTF-16 with a byte order mark, which is what PowerShell writes.
 *
 * @throws {UsageError}
 */
export async function readPolicy (file: string): Promise<string> {
  try {
    return decodeText(await readFile(file))
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(`the policy ${file} is not text: save it as UTF-8`)
    throw new UsageError(
      `cannot read the policy ${file}: ${error instanceof Error && 'code' in error ? error.code : 'unknown error'}`
    )
  }
}

/** @throws {TypeError} */
function decodeText (bytes: Uint8Array): string {
  const [first = 0, second = 0] = bytes
  const encoding = first === 0xff && second === 0xfe
    ? 'utf-16le'
    : first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8'
  // A decoder drops the byte order mark.
  return new TextDecoder(encoding, { fatal: true }).decode(bytes)
}

/**
 * Genuine hardware, whatever runs on it. Audience and issuer are taken from the evidence, so that they prove nothing.
 */
export function openPolicy (document: Uint8Array, development: boolean): AttestationPolicy {
  const { evidence } = parseAttestationDocument(document)
  const { aud, iss } = claimsOf(evidence[0]?.[1] ?? '')
  return {
    version: 1,
    insecure: true,
    development,
    platforms: {
      'google-confidential-space': { audience: typeof aud === 'string' && aud !== '' ? aud : 'none' },
      ...MAA_ISSUER.test(iss ?? '') && { 'azure-maa': { issuers: [iss ?? ''] }, 'azure-cvm': { issuers: [iss ?? ''] } },
      'sev-snp': {},
      tdx: {},
      ...development && { simulated: {} }
    }
  }
}

function claimsOf (token: string) {
  try {
    return decodeJwt(token)
  } catch {
    // Not every evidence is a token.
    return {}
  }
}
