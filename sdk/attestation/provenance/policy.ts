/** What a policy may ask of where something was built: its section `provenance`. */

/** GitHub's issuer of identities for workflows. */
export const GITHUB_ISSUER = 'https://token.actions.githubusercontent.com'
export const IN_TOTO_PAYLOAD = 'application/vnd.in-toto+json'
/** What git references of tags begin with. */
export const TAGS = 'refs/tags/'

export interface ProvenancePolicy {
  /** `owner/name`, as GitHub spells it. */
  readonly repository: string
  /** Who vouched for the workflow's identity; GitHub, if absent. */
  readonly issuer?: string
  /**
   * The workflow's file, e.g. `.github/workflows/release.yml`, in the same repository; or `owner/name/path` of a
   * reusable one in another. If absent, any workflow of the repository.
   */
  readonly workflow?: string
  /** The git reference; one `*` in it stands for anything, e.g. `refs/tags/v1.*`. In place of `refPrefix`. */
  readonly ref?: string
  /** What the git reference begins with, e.g. `refs/tags/v`; `refs/tags/`, if absent. */
  readonly refPrefix?: string
  /** Types of predicate, e.g. `https://slsa.dev/provenance/v1`; any, if absent. */
  readonly predicateTypes?: readonly string[]
  /** Types of in-toto statement; any, if absent. */
  readonly statementTypes?: readonly string[]
  /** Type of what was signed; in-toto's, if absent. */
  readonly payloadType?: string
  /** RFC 3339: nothing that was logged before is accepted. */
  readonly notBefore?: string
  /** Log entries, signed certificate timestamps, and times that others vouch for: at least one of each, if absent. */
  readonly minimumLogEntries?: number
  readonly maximumLogEntries?: number
  readonly minimumCertificateTimestamps?: number
  readonly minimumTimestamps?: number
  /** Bundles, as parsed JSON, beside those that come with the document. They authenticate themselves. */
  readonly bundles?: readonly unknown[]
  /** Sigstore's trusted root, as parsed JSON; the public instance's that is shipped, if absent. */
  readonly trustedRoot?: unknown
}
