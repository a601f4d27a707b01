/** The options of all commands that appraise by a policy with `provenance`: bundles, and Sigstore's trusted root. */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Command } from 'commander'
import { MAX_BUNDLE_CHARACTERS } from '../attestation/provenance/bundle.ts'
import { readBundles } from '../attestation/provenance/sources.ts'
import type { ProvenanceSources } from '../attestation/provenance/sources.ts'
import { fetchAnswer } from '../attestation/http.ts'
import type { AttestationPolicy } from '../attestation/policy.ts'
import { UsageError } from './status.ts'

export interface ProvenanceOptions {
  /** Path or URL of Sigstore bundles. */
  readonly provenance?: string
  /** Path of Sigstore's trusted root. */
  readonly trustedRoot?: string
}

const NO_SECTION = 'needs a policy that says which repository: "provenance": { "repository": "owner/name" }; polaris ' +
  'policy init --repository owner/name writes one'

export function withProvenanceOptions (command: Command): Command {
  return command
    .option(
      '--provenance <file|url>',
      'Sigstore bundles about what runs, for a policy with provenance; one bundle, one a line, or GitHub\'s answer'
    )
    .option('--trusted-root <file>', 'Sigstore\'s trusted root, JSON, in place of the one that is shipped')
}

/**
 * @param policy as given; undefined if there is none
 * @throws {UsageError | AttestationFetchError}
 */
export async function readProvenance (
  { provenance, trustedRoot }: ProvenanceOptions,
  policy: AttestationPolicy | undefined,
  fetch: typeof globalThis.fetch
): Promise<{ provenance?: ProvenanceSources }> {
  const [option] = [
    provenance !== undefined && '--provenance', trustedRoot !== undefined && '--trusted-root'
  ].filter(name => name !== false)
  if (option === undefined) return {}
  if (policy?.provenance === undefined) throw new UsageError(`${option} ${NO_SECTION}`)
  return {
    provenance: {
      ...provenance !== undefined && { bundles: await bundlesAt(provenance, fetch) },
      ...trustedRoot !== undefined && { trustedRoot: parse(await text(trustedRoot), trustedRoot) }
    }
  }
}

/** Bundles in a file or at a URL. @throws {UsageError | AttestationFetchError} */
export async function bundlesAt (place: string, fetch: typeof globalThis.fetch): Promise<unknown[]> {
  const content = /^https?:/.test(place)
    ? new TextDecoder().decode((await fetchAnswer(fetch, place, MAX_BUNDLE_CHARACTERS)).body)
    : await text(place)
  try {
    return readBundles(content)
  } catch (error) {
    throw new UsageError(
      `${basename(place)} holds no Sigstore bundles: ${error instanceof Error ? error.message : 'unknown error'}`
    )
  }
}

function parse (content: string, file: string): unknown {
  try {
    return JSON.parse(content)
  } catch {
    throw new UsageError(`${file} is not JSON`)
  }
}

async function text (file: string): Promise<string> {
  try {
    const bytes = await readFile(file)
    if (bytes.length > MAX_BUNDLE_CHARACTERS) throw new UsageError(`${file} is too large`)
    return bytes.toString('utf8')
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(
      `cannot read ${file}: ${error instanceof Error && 'code' in error ? error.code : 'unknown error'}`
    )
  }
}
