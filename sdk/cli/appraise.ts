/** What all commands begin with: ask a proxy, and appraise its answer by a policy or, without one, by what it presents. */
import { readFile } from 'node:fs/promises'
import { decodeJwt } from 'jose'
import { parseAttestationDocument } from '../../lib/protocols/attestation.ts'
import { fetchAttestation } from '../attestation/attest-keys.ts'
import type { Verdict } from '../attestation/checks.ts'
import { parseAttestationPolicy } from '../attestation/policy.ts'
import type { AttestationPolicy } from '../attestation/policy.ts'
import { verifyAttestation } from '../attestation/verify.ts'
import { UsageError } from './status.ts'

/** Microsoft's attestation providers, shared and private ones. */
export const MAA_ISSUER = /^https:\/\/[\w-]+(?:\.[\w-]+)?\.attest\.azure\.net$/

export interface AppraiseOptions {
  /** Path of a policy. */
  readonly policy?: string
  /** Accepts simulated evidence where there is no policy. */
  readonly development?: boolean
}

/**
 * @throws {UsageError} URL or policy file
 * @throws {AttestationFetchError | AttestationDocumentError | AttestationPolicyError}
 */
export async function appraise (url: string, { policy, development = false }: AppraiseOptions): Promise<Verdict> {
  const { username, password } = parseUrl(url)
  if (username !== '' || password !== '') throw new UsageError('a URL with credentials cannot be asked: take them out')
  const given = policy === undefined ? undefined : parseAttestationPolicy(await readPolicy(policy))
  const { document, nonce } = await fetchAttestation(url)
  return verifyAttestation(document, given ?? openPolicy(document, development), { nonce })
}

/** @throws {UsageError} */
export function parseUrl (text: string): URL {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) throw new UsageError(`not an http or https URL: ${text}`)
  return url
}

/** @throws {UsageError} */
export async function readPolicy (file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new UsageError(`cannot read the policy ${file}: ${error instanceof Error && 'code' in error ? error.code : 'unknown error'}`)
  }
}

/** Genuine hardware, whatever runs on it. Audience and issuer are taken from the evidence, so that they prove nothing. */
export function openPolicy (document: Uint8Array, development: boolean): AttestationPolicy {
  const { evidence } = parseAttestationDocument(document)
  const { aud, iss } = claimsOf(evidence[0]?.[1] ?? '')
  return {
    version: 1,
    insecure: true,
    development,
    platforms: {
      'google-confidential-space': { audience: typeof aud === 'string' && aud !== '' ? aud : 'none' },
      ...MAA_ISSUER.test(iss ?? '') && { 'azure-maa': { issuers: [iss ?? ''] } },
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
