/**
 * Keys in Azure Key Vault or Managed HSM, without a sidecar: released to this TEE against an attestation token, or
 * left in the HSM, which then decrypts. Only the former is gated by attestation; the latter by access control alone.
 */
import { createPublicKey, generateKeyPair, randomBytes } from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys'
import type { KeyClientOptions, KeyVaultKey } from '@azure/keyvault-keys'
import type { MaaTokens } from './maa.ts'
import { createAzureCredential } from './credential.ts'
import type { AzureCredentialKind } from './credential.ts'
import { openRelease } from './release.ts'
import { connectionError, RemoteError, retryAfterOf, safeCode } from '../../remote/error.ts'
import { createVersionedProvider, loadVersions } from '../../keys/rsa/key-versions.ts'
import type { FetchOptions, KeyLog, KeyVersion, KnownVersions } from '../../keys/rsa/key-versions.ts'
import { memoryKey } from '../../keys/rsa/memory-key.ts'
import { UnwrapError } from '../../keys/provider.ts'
import type { KeyProvider } from '../../keys/provider.ts'
import { createRemoteLimits } from '../../keys/rsa/remote-limits.ts'
import type { RemoteLimitsOptions } from '../../keys/rsa/remote-limits.ts'
import type { RsaPoolOptions } from '../../keys/rsa/pool.ts'
import { publishedKey } from '../../keys/rsa/public-key.ts'
import type { Bytes } from '../../protocols/bytes.ts'

export interface AzureKeyVaultOptions extends FetchOptions, RsaPoolOptions {
  /** URL of the vault or Managed HSM. */
  readonly vaultUrl: string
  readonly key: string
  /** Versions, newest first. Default: the vault's current one. */
  readonly versions?: readonly string[]
  /** Default: `release`. */
  readonly mode?: 'release' | 'remote'
  /** Default: `managed-identity`. */
  readonly credential?: AzureCredentialKind
  /** Of a user-assigned identity. */
  readonly clientId?: string
  /**
   * Obtains an Azure Attestation token whose `x-ms-runtime` claim is `runtimeData` (JSON, bytes). For `release`.
   *
   * @throws {RemoteError} with the reason
   */
  readonly attest?: MaaTokens
  readonly limits?: RemoteLimitsOptions
  /** Certificates (PEM) that may have issued the one that signs releases. Default: what Node trusts for TLS. */
  readonly trustAnchors?: readonly string[]
  /** For Azure's client, beyond its defaults. */
  readonly clientOptions?: KeyClientOptions
}

/** Bits of the key that a release is encrypted to; it lives for one release. */
const WRAPPING_KEY_LENGTH = 3072
/** The vault's current version. */
const CURRENT = ''

export function createAzureKeyVaultProvider (options: AzureKeyVaultOptions, log: KeyLog): KeyProvider {
  const { mode = 'release', attest } = options
  // The client's own retries would hide from the status and the log what is being waited for.
  const clientOptions = { ...options.clientOptions, retryOptions: { maxRetries: 0 } }
  const credential = createAzureCredential(options.credential ?? 'managed-identity', options.clientId)
  const vault = new KeyClient(options.vaultUrl, credential, { ...clientOptions })

  async function load (known: KnownVersions, signal: AbortSignal): Promise<readonly KeyVersion[]> {
    const loadVersion = mode === 'remote' ? remoteVersion : releasedVersion
    return loadVersions(
      options.versions ?? [CURRENT], version => loadVersion(version, known, signal), 'azure-key-vault', log
    )
  }

  async function releasedVersion (version: string, known: KnownVersions, signal: AbortSignal): Promise<KeyVersion> {
    if (attest === undefined) {
      throw new RemoteError('configuration', 'Key release needs attestation, and none is configured', {
        providerCode: 'NO_ATTESTATION',
        advice: 'Configure an attestation provider that obtains Azure Attestation ' +
          'tokens, or leave the key in the vault (mode remote)'
      })
    }
    const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: WRAPPING_KEY_LENGTH })
    const token = await attest(runtimeData(publicKey), signal)
    const nonce = randomBytes(16).toString('base64url')
    const { value } = await ask(() => vault.releaseKey(options.key, token, {
      algorithm: 'RSA_AES_KEY_WRAP_256', nonce, abortSignal: signal, ...(version && { version })
    }))
    const { hostname: host } = new URL(options.vaultUrl)
    return memoryKey(await openRelease(
      value, privateKey, { host, key: options.key, version, nonce, trustAnchors: options.trustAnchors }
    ), known, options)
  }

  async function remoteVersion (version: string, known: KnownVersions, signal: AbortSignal): Promise<KeyVersion> {
    const key = await ask(() => vault.getKey(options.key, { abortSignal: signal, ...(version && { version }) }))
    const publicKey = publicKeyOf(key)
    const published = publishedKey(publicKey.export({ format: 'der', type: 'spki' }))
    const existing = known(published.keyId)
    if (existing !== undefined) return existing

    const modulusLength = publicKey.asymmetricKeyDetails?.modulusLength ?? 0
    const client = new CryptographyClient(key, credential, { ...clientOptions })
    const limits = createRemoteLimits(options.limits ?? {}, (cause, open) => {
      const { message, advice, providerCode } = vaultError(cause)
      log.warn(
        { source: 'azure-key-vault', keyId: published.keyId, providerCode, circuitOpen: open }, `${message}. ${advice}.`
      )
    })
    return {
      published,
      async unwrap (wrapped) {
        // What cannot be a ciphertext of this key costs nothing to refuse here; the vault counts it.
        if (wrapped.length * 8 !== modulusLength) throw new UnwrapError()
        return limits.run(signal => decrypt(client, wrapped, signal))
      },
      close: () => undefined
    }
  }

  return createVersionedProvider({ ...options, name: 'azure-key-vault', remote: mode === 'remote', load }, log)
}

/**
 * What the attestation is bound to: the key that the vault then encrypts to, in the form that Azure Attestation wants.
 */
function runtimeData (publicKey: KeyObject): Bytes {
  const { kty, n, e } = publicKey.export({ format: 'jwk' })
  const kid = publishedKey(publicKey.export({ format: 'der', type: 'spki' })).keyId
  return new TextEncoder().encode(JSON.stringify({ keys: [{ kty, n, e, kid, key_ops: ['encrypt'] }] }))
}

/** `decrypt` rather than `unwrapKey`: what is wrapped is not only AES keys but also IVs of 12 bytes. */
async function decrypt (client: CryptographyClient, ciphertext: Uint8Array, abortSignal: AbortSignal): Promise<Bytes> {
  try {
    const { result } = await client.decrypt({ algorithm: 'RSA-OAEP-256', ciphertext }, { abortSignal })
    return new Uint8Array(result)
  } catch (cause) {
    if (statusOf(cause) === 400) throw new UnwrapError({ cause })
    throw vaultError(cause)
  }
}

function publicKeyOf ({ key, keyOperations = [] }: KeyVaultKey): KeyObject {
  const { kty, n, e } = key ?? {}
  if (!/^RSA(-HSM)?$/.test(kty ?? '') || n === undefined || e === undefined || !keyOperations.includes('decrypt')) {
    throw new RemoteError('configuration', 'The key in the vault cannot be used', {
      providerCode: 'KEY_UNUSABLE', advice: 'Create an RSA or RSA-HSM key of 4096 bits with the operation decrypt'
    })
  }
  const jwk: JsonWebKey = {
    kty: 'RSA', n: Buffer.from(n).toString('base64url'), e: Buffer.from(e).toString('base64url')
  }
  return createPublicKey({ key: jwk, format: 'jwk' })
}

async function ask<T> (operation: () => Promise<T>): Promise<T> {
  try {
    return await operation()
  } catch (cause) {
    throw vaultError(cause)
  }
}

/** The parts of Azure's errors that are looked at. */
interface AzureError {
  name?: string
  code?: unknown
  statusCode?: unknown
  details?: { error?: { code?: unknown, innerError?: { code?: unknown } } }
  response?: { headers?: { get (name: string): string | undefined } }
}

function statusOf (error: unknown): number | undefined {
  const { statusCode } = error as AzureError
  return typeof statusCode === 'number' ? statusCode : undefined
}

/** What the vault or the identity service said, as something an operator can act on. */
function vaultError (cause: unknown): RemoteError {
  if (cause instanceof RemoteError) return cause
  const { name = '', code, details, response } = cause as AzureError
  const status = statusOf(cause)
  if (/^(CredentialUnavailable|Authentication|AggregateAuthentication|AuthenticationRequired)Error$/.test(name)) {
    return new RemoteError('refused', 'Azure gives this container no token for the vault', {
      providerCode: safeCode(name) ?? 'AUTHENTICATION',
      cause,
      advice: 'Assign the identity to the container group and check its client id; a new assignment can take minutes'
    })
  }
  if (cause instanceof Error && cause.message.startsWith('The challenge resource')) {
    return new RemoteError('configuration', 'The vault asks for a token for a domain other than its own', {
      providerCode: 'CHALLENGE_RESOURCE', cause, advice: 'Check the URL of the vault'
    })
  }
  if (status === undefined) return connectionError('Key Vault', cause)
  const inner = details?.error?.innerError?.code ?? details?.error?.code ?? code
  const [message, advice] = ANSWERS.get(status) ?? [
    'Key Vault is not available', 'Check the health of the vault and the network on the way to it'
  ]
  const kind = status >= 500 || status === 408 || status === 429 ? 'transient' : 'refused'
  return new RemoteError(kind, message, {
    providerCode: safeCode(inner) ?? `HTTP_${status}`,
    cause,
    advice,
    retryAfter: retryAfterOf(response?.headers?.get('retry-after'))
  })
}

const ANSWERS = new Map<number, [string, string]>([
  [400, [
    'Key Vault does not accept the request', 'Check that the key is exportable, has a release policy, and is an RSA key'
  ]],
  [
    401,
    ['Key Vault does not accept the token of this container', 'Check that the identity is of the tenant of the vault']
  ],
  [
    403,
    [
      'Key Vault denies the use of the key',
      'Check the role of the identity (Key Vault Crypto Service Release User to release, Crypto User to decrypt ' +
      'remotely), that the key is enabled, its release policy with the host data of this deployment, and the ' +
      'firewall of the vault'
    ]
  ],
  [404, ['The key is not in the vault', 'Check the URL of the vault, the name of the key and its version']],
  [429, [
    'Key Vault throttles this subscription',
    'Have clients use OHTTP, which needs no operations of the vault, or use release mode'
  ]]
])
