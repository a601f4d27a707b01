/** Keys released by the secure key release sidecar on Azure after it attested the container group. */
import { createPrivateKey, createPublicKey } from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'
import { releaseKey } from './sidecar.ts'
import { RemoteError } from '../../remote/error.ts'
import { withoutTrailingSlashes } from '../../protocols/trailing-slashes.ts'
import { createVersionedProvider, loadVersions } from '../../keys/rsa/key-versions.ts'
import type { FetchOptions, KeyLog, KeyVersion, KnownVersions } from '../../keys/rsa/key-versions.ts'
import { memoryKey } from '../../keys/rsa/memory-key.ts'
import type { KeyProvider } from '../../keys/provider.ts'
import type { RsaPoolOptions } from '../../keys/rsa/pool.ts'

/**
 * How endpoints are written for the sidecar: as host names (`host`), as URLs (`url`), or as they were configured.
 * Microsoft's sidecar wants host names, another deployed one wants URLs.
 */
export type EndpointForm = 'as-given' | 'host' | 'url'

export interface AzureSkrOptions extends FetchOptions, RsaPoolOptions {
  /** Azure Attestation instance that the release policy names. */
  readonly maaEndpoint: string
  /** Vault or Managed HSM. */
  readonly akvEndpoint: string
  /** Key names, each `name` or `name/version`, newest first. */
  readonly kids: readonly string[]
  /** Token for the vault, where the container group has no managed identity. */
  readonly accessToken?: string
  /** Default: `as-given`. */
  readonly endpointForm?: EndpointForm
  /** Where the sidecar listens. Default: `http://localhost:8080`. */
  readonly endpoint?: string
}

export function createAzureSkrProvider (options: AzureSkrOptions, log: KeyLog): KeyProvider {
  const { endpoint, endpointForm = 'as-given', kids, accessToken } = options
  const sidecar = endpoint === undefined ? {} : { endpoint }
  const vault = {
    maa_endpoint: write(options.maaEndpoint, endpointForm),
    akv_endpoint: write(options.akvEndpoint, endpointForm),
    ...(accessToken && { access_token: accessToken })
  }

  async function load (known: KnownVersions, signal: AbortSignal): Promise<readonly KeyVersion[]> {
    return loadVersions(kids, async kid =>
      memoryKey(privateKeyOf(await releaseKey(sidecar, { ...vault, kid }, signal)), known, options), 'azure-skr', log)
  }

  return createVersionedProvider({ ...options, name: 'azure-skr', remote: false, load }, log)
}

function write (endpoint: string, form: EndpointForm): string {
  if (form === 'as-given') return endpoint
  const host = withoutTrailingSlashes(endpoint.replace(/^[a-z]+:\/\//i, ''))
  return form === 'host' ? host : `https://${host}`
}

/**
 * The key in a sidecar's answer: `{ key }` with a JWK as a JSON string or object, or `{ privateKey, publicKey }` in
 * PEM. The public key that counts is that of the private one; one that was sent along must be the same.
 */
function privateKeyOf (answer: unknown): KeyObject {
  const { key, privateKey, publicKey } = answer as Record<string, unknown>
  let own: KeyObject | undefined
  let claimed: KeyObject | undefined
  try {
    if (key !== undefined) own = createPrivateKey({ key: rsaPrivateJwk(key), format: 'jwk' })
    else if (typeof privateKey === 'string') own = createPrivateKey(privateKey)
    if (typeof publicKey === 'string') claimed = createPublicKey(publicKey)
  } catch {
    // Parsers may quote their input; a failed one is an unusable answer and no more.
    own = undefined
  }
  if (own === undefined) throw unusable('no private key in a known form')
  if (claimed !== undefined && !createPublicKey(own).equals(claimed)) {
    throw unusable('a public key that is not that of the private key')
  }
  return own
}

/** The members of an RSA private key alone: a `key_ops` or `use` that the vault sends along does not bind us. */
function rsaPrivateJwk (key: unknown): JsonWebKey {
  const { n, e, d, p, q, dp, dq, qi } = (typeof key === 'string' ? JSON.parse(key) : key) as JsonWebKey
  return { kty: 'RSA', n, e, d, p, q, dp, dq, qi } as JsonWebKey
}

function unusable (what: string): RemoteError {
  return new RemoteError('refused', `The Azure sidecar sent ${what}`, {
    providerCode: 'KEY_UNUSABLE',
    advice: 'Check that the configured key is an exportable RSA-HSM key, and the version of the sidecar'
  })
}
