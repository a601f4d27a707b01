/**
 * Files that stand in for the network: each is recognised by its content. Key sets and trusted roots are believed; the
 * rest is verified, wherever it is from.
 */
import { readBundles } from '../../sdk/attestation/index.ts'
import type { TdxCollateral } from '../../sdk/attestation/index.ts'
import { BundleError } from '../../sdk/attestation/provenance/bundle.ts'

export const MAX_FILE_BYTES = 4 * 1024 * 1024

export type GivenFile =
  | { readonly kind: 'document', readonly name: string, readonly document: Uint8Array }
  | { readonly kind: 'key-set', readonly name: string, readonly keySet: unknown }
  | { readonly kind: 'key-sets', readonly name: string, readonly keySets: Readonly<Record<string, unknown>> }
  | { readonly kind: 'collateral', readonly name: string, readonly collateral: TdxCollateral }
  | { readonly kind: 'bundles', readonly name: string, readonly bundles: readonly unknown[] }
  | { readonly kind: 'trusted-root', readonly name: string, readonly trustedRoot: unknown }
  | { readonly kind: 'revocation-list', readonly name: string, readonly list: Uint8Array }

const DER_SEQUENCE = 0x30
const BUNDLE = 'application/vnd.dev.sigstore.bundle'
const TRUSTED_ROOT = 'application/vnd.dev.sigstore.trustedroot'

/** A file that nothing can be done with. The message names it and says what was expected. */
export class FileError extends Error {
  override readonly name = 'FileError'
}

/** @throws {FileError} */
export function recognise (name: string, bytes: Uint8Array): GivenFile {
  if (bytes.length > MAX_FILE_BYTES) throw new FileError(`${name} has more than ${MAX_FILE_BYTES / 1024 / 1024} MiB`)
  if (bytes[0] === DER_SEQUENCE) return { kind: 'revocation-list', name, list: bytes }
  const text = decode(name, bytes)
  const value = parse(text)
  if (value === undefined) return { kind: 'bundles', name, bundles: bundlesOf(name, text) }
  const mediaType = String(value['mediaType'])
  if (mediaType.startsWith(TRUSTED_ROOT)) return { kind: 'trusted-root', name, trustedRoot: value }
  if (mediaType.startsWith(BUNDLE) || 'attestations' in value) {
    return { kind: 'bundles', name, bundles: bundlesOf(name, text) }
  }
  if ('keys' in value && Array.isArray(value['keys']) && !('evidence' in value)) {
    return { kind: 'key-set', name, keySet: value }
  }
  if ('evidence' in value) return { kind: 'document', name, document: bytes }
  // Its form is for the verifier to judge.
  if ('tcb_info' in value) return { kind: 'collateral', name, collateral: value as unknown as TdxCollateral }
  const issuers = Object.entries(value)
  if (issuers.length > 0 && issuers.every(([issuer, keySet]) => /^https:\/\//.test(issuer) && isKeySet(keySet))) {
    return { kind: 'key-sets', name, keySets: value }
  }
  throw new FileError(`${name} is none of the files that are of use here`)
}

/** What the file was taken for. */
export function describe (file: GivenFile): string {
  switch (file.kind) {
    case 'document': return 'a saved attestation document: the proxy will not be asked'
    case 'key-set': return 'the key set of an issuer'
    case 'key-sets': return `the key sets of ${Object.keys(file.keySets).join(', ')}`
    case 'collateral': return "Intel's collateral"
    case 'bundles': return `${file.bundles.length === 1
      ? 'a proof'
      : `${file.bundles.length} proofs`} of where software was built`
    case 'trusted-root': return "Sigstore's trusted root"
    case 'revocation-list': return 'a revocation list'
  }
}

function decode (name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new FileError(`${name} is neither JSON nor a revocation list (DER)`, { cause })
  }
}

/** Undefined unless the text is one object in JSON. */
function parse (text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? value as Record<string, unknown>
      : undefined
  } catch {
    // Bundles have one on each line.
    return undefined
  }
}

function bundlesOf (name: string, text: string): unknown[] {
  try {
    const bundles = readBundles(text)
    if (bundles.every(bundle => typeof bundle === 'object' && bundle !== null && !Array.isArray(bundle))) return bundles
  } catch (error) {
    if (!(error instanceof BundleError)) throw error
  }
  throw new FileError(`${name} is neither JSON that is of use here nor a revocation list (DER)`)
}

function isKeySet (value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'keys' in value && Array.isArray(value.keys)
}
