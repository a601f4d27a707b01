/**
 * The part of the `@sigstore` packages that is used: a bundle's signature, its certificate up to the certificate
 * authority, the certificate's timestamps, and its entries in the transparency log. They are optional, and of the
 * proxy's image none is there: they are loaded when a bundle is to be verified.
 */

/** What each of these must be there for at least. */
export interface Thresholds {
  readonly logEntries: number
  readonly certificateTimestamps: number
  readonly timestamps: number
}

/** Verifies Sigstore bundles: `@sigstore/verify`, or what a page brings along. */
export interface SigstoreVerifier {
  /**
   * @param bundle and trustedRoot as parsed JSON
   * @throws where the bundle does not verify; an error's `code`, where it has one, is the library's
   */
  verify (bundle: unknown, trustedRoot: unknown, thresholds: Thresholds): void
}

/** The packages are not installed. */
export class SigstoreAbsentError extends Error {
  override readonly name = 'SigstoreAbsentError'
  readonly code = 'ERR_SIGSTORE_ABSENT'

  constructor (options?: ErrorOptions) {
    super('Sigstore bundles need the packages @sigstore/bundle, @sigstore/protobuf-specs and @sigstore/verify, which ' +
      'are not installed beside the SDK', options)
  }
}

interface BundlePackage { bundleFromJSON (json: unknown): unknown }
interface SpecsPackage { TrustedRoot: { fromJSON (json: unknown): unknown } }
interface VerifyPackage {
  toSignedEntity (bundle: unknown): unknown
  toTrustMaterial (root: unknown): unknown
  Verifier: new (trust: unknown, thresholds: object) => { verify (entity: unknown): unknown }
}

/** @throws {SigstoreAbsentError} */
export async function loadSigstore (): Promise<SigstoreVerifier> {
  const [{ bundleFromJSON }, { TrustedRoot }, { Verifier, toSignedEntity, toTrustMaterial }] = await Promise.all([
    load<BundlePackage>('bundle'), load<SpecsPackage>('protobuf-specs'), load<VerifyPackage>('verify')
  ])
  return {
    verify (bundle, trustedRoot, { logEntries, certificateTimestamps, timestamps }) {
      const trust = toTrustMaterial(TrustedRoot.fromJSON(trustedRoot))
      const thresholds = {
        tlogThreshold: logEntries, ctlogThreshold: certificateTimestamps, timestampThreshold: timestamps
      }
      new Verifier(trust, thresholds).verify(toSignedEntity(bundleFromJSON(bundle)))
    }
  }
}

/** By a name that bundlers do not see: they would take the package into every page. */
async function load<T> (name: string): Promise<T> {
  try {
    return await import(['@sigstore', name].join('/')) as T
  } catch (cause) {
    throw new SigstoreAbsentError({ cause })
  }
}
