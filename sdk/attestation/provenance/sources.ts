/** Where bundles come from: what a caller hands over, the policy itself, and the endorsements of a document. */
import { MEDIA_TYPES } from '../../../lib/protocols/attestation.ts'
import type { TypedValue } from '../../../lib/protocols/attestation.ts'
import { BundleError, MAX_BUNDLE_CHARACTERS } from './bundle.ts'
import type { SigstoreVerifier } from './library.ts'
import type { ProvenancePolicy } from './policy.ts'

/**
 * From one source. A repository attests an image a few times: how it was built, what it is made of, in each registry.
 */
export const MAX_BUNDLES = 32

/** What a caller may set. */
export interface ProvenanceSources {
  /** Bundles beside those of policy and document: parsed JSON. */
  readonly bundles?: readonly unknown[]
  /** Sigstore's trusted root, parsed; instead of the policy's and of the one that is shipped. */
  readonly trustedRoot?: unknown
  /** Instead of the optional `@sigstore` packages. */
  readonly verifier?: SigstoreVerifier
}

/** A bundle, and where it comes from, for people. */
export interface Candidate {
  readonly bundle: unknown
  readonly from: string
}

export function candidates (
  sources: ProvenanceSources, policy: ProvenancePolicy, endorsements: readonly TypedValue[]
): Candidate[] {
  const attached = endorsements.filter(([type]) => type === MEDIA_TYPES.sigstoreBundle).map(([, text]) => text)
  return [
    ...(sources.bundles ?? []).slice(0, MAX_BUNDLES).map(bundle => ({ bundle, from: 'given beside the policy' })),
    ...(policy.bundles ?? []).map(bundle => ({ bundle, from: 'in the policy' })),
    ...attached.map(bundle => ({ bundle, from: 'in the document' }))
  ]
}

/**
 * The bundles in a text: one bundle; several, one on each line, as `gh attestation download` writes them; or GitHub's
 * answer about attestations, `{ "attestations": [{ "bundle": … }] }`. They may be malformed, which the verdict then
 * says.
 *
 * @example
 * ```ts
 * import { readBundles } from '@polaris-secure-proxy/sdk/attestation'
 *
 * const bundles = readBundles('{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}')
 * console.log(bundles.length) // 1
 * ```
 *
 * @throws {BundleError} it is none of these
 */
export function readBundles (text: string): unknown[] {
  if (text.length > MAX_BUNDLE_CHARACTERS) throw new BundleError('too long')
  const whole = parse(text)
  const bundles = whole === undefined
    ? text.split('\n').filter(line => line.trim() !== '').map(parse)
    : attestationsOf(whole)
  if (bundles.length === 0 || bundles.includes(undefined)) throw new BundleError('JSON is expected')
  if (bundles.length > MAX_BUNDLES) throw new BundleError(`more than ${MAX_BUNDLES} at once`)
  return bundles
}

function attestationsOf (whole: unknown): unknown[] {
  const list = typeof whole === 'object' && whole !== null && 'attestations' in whole ? whole.attestations : undefined
  if (!Array.isArray(list)) return [whole]
  return list.map(item => typeof item === 'object' && item !== null && 'bundle' in item ? item.bundle : undefined)
}

function parse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's error would quote it.
    return undefined
  }
}
