/** Keys in Google Cloud KMS that an attested Confidential Space workload may decrypt with. They never leave the KMS. */
import { createPublicKey } from 'node:crypto'
import { KeyManagementServiceClient } from '@google-cloud/kms'
import { crc32c } from './crc32c.ts'
import { connectionError, RemoteError } from '../../remote/error.ts'
import type { RemoteFailure } from '../../remote/error.ts'
import { GoogleCredentials } from './credentials.ts'
import type { GoogleCredentialsOptions } from './credentials.ts'
import { createVersionedProvider, loadVersions } from '../../keys/rsa/key-versions.ts'
import type { FetchOptions, KeyLog, KeyVersion, KnownVersions } from '../../keys/rsa/key-versions.ts'
import { UnwrapError } from '../../keys/provider.ts'
import type { KeyProvider } from '../../keys/provider.ts'
import { createRemoteLimits } from '../../keys/rsa/remote-limits.ts'
import type { RemoteLimitsOptions } from '../../keys/rsa/remote-limits.ts'
import { publishedKey } from '../../keys/rsa/public-key.ts'
import type { Bytes } from '../../protocols/bytes.ts'

export interface GoogleFederatedOptions extends FetchOptions, GoogleCredentialsOptions {
  readonly projectId: string
  readonly location: string
  readonly keyRing: string
  readonly key: string
  /** Numbers of key versions, newest first. Default: `['1']`. Asymmetric keys have no primary version. */
  readonly versions?: readonly string[]
  /** `host` or `host:port` of the KMS, for private service connect. */
  readonly kmsEndpoint?: string
  readonly limits?: RemoteLimitsOptions
}

const ALGORITHM = /^RSA_DECRYPT_OAEP_(2048|3072|4096)_SHA256$/
/** Attempts at a call whose checksums do not agree: corruption on the way is rare and independent. */
const INTEGRITY_ATTEMPTS = 3
/** gRPC status codes. */
const [
  INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, UNAVAILABLE, UNAUTHENTICATED
] = [3, 5, 7, 8, 9, 14, 16]
const CODE_NAMES = [
  'OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS',
  'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED',
  'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED'
]

export function createGoogleFederatedProvider (options: GoogleFederatedOptions, log: KeyLog): KeyProvider {
  const credentials = new GoogleCredentials(options)
  const [host, port] = options.kmsEndpoint?.split(':') ?? []
  const kms = new KeyManagementServiceClient({
    authClient: credentials,
    projectId: options.projectId,
    ...(host && { apiEndpoint: host }),
    ...(port && { port: Number(port) })
  })

  /**
   * Calls the KMS with a token in hand, so that what goes wrong with the token is not mistaken for the KMS's answer.
   */
  async function call<T> (operation: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const renew = () => credentials.renew()
    // An exchange that no caller waits for any longer must not be what the next call waits for.
    signal.addEventListener('abort', renew, { once: true })
    await credentials.getAccessToken().finally(() => signal.removeEventListener('abort', renew))
    try {
      return await operation()
    } catch (error) {
      if (grpcCode(error) === UNAUTHENTICATED) renew()
      throw error
    }
  }

  async function load (known: KnownVersions, signal: AbortSignal): Promise<readonly KeyVersion[]> {
    return loadVersions(
      options.versions ?? ['1'], version => loadVersion(version, known, signal), 'google-federated', log
    )
  }

  async function loadVersion (version: string, known: KnownVersions, signal: AbortSignal): Promise<KeyVersion> {
    const name = kms.cryptoKeyVersionPath(options.projectId, options.location, options.keyRing, options.key, version)
    const spki = await getPublicKey(name, signal)
    const described = publishedKey(spki)
    const published = { ...described, keyId: `v${version}-${described.keyId}` }
    const existing = known(published.keyId)
    if (existing !== undefined) return existing

    const modulusLength = createPublicKey(published.pem).asymmetricKeyDetails?.modulusLength ?? 0
    const limits = createRemoteLimits(options.limits ?? {}, (cause, open) => {
      const { message, advice, providerCode } = kmsError(cause)
      log.warn(
        { source: 'google-federated', keyId: published.keyId, providerCode, circuitOpen: open },
        `${message}. ${advice}.`
      )
    })
    return {
      published,
      async unwrap (wrapped) {
        // What cannot be a ciphertext of this key costs nothing to refuse here; the KMS charges for it.
        if (wrapped.length * 8 !== modulusLength) throw new UnwrapError()
        return limits.run(signal => decrypt(name, wrapped, signal))
      },
      close: () => undefined
    }
  }

  /** The key as SubjectPublicKeyInfo (DER). */
  async function getPublicKey (name: string, signal: AbortSignal): Promise<Uint8Array> {
    for (let attempt = 1; ; attempt++) {
      let key
      try {
        // No retries by the client: they would hide from the status and the log what is being waited for.
        [key] = await call(() => kms.getPublicKey({ name }, { signal, retry: null, timeout: 10_000 }), signal)
      } catch (error) {
        throw kmsError(error)
      }
      const { pem = '', pemCrc32c, algorithm, name: actualName } = key
      if (pem && actualName === name && Number(pemCrc32c?.value) === crc32c(Buffer.from(pem))) {
        if (!ALGORITHM.test(String(algorithm))) {
          throw new RemoteError('configuration', 'The KMS key cannot be used: it is not for RSA-OAEP with SHA-256', {
            providerCode: 'KEY_UNUSABLE',
            advice: 'Create an asymmetric decryption key with the algorithm RSA_DECRYPT_OAEP_4096_SHA256'
          })
        }
        return createPublicKey(pem).export({ format: 'der', type: 'spki' })
      }
      if (attempt === INTEGRITY_ATTEMPTS) throw corrupted()
    }
  }

  async function decrypt (name: string, wrapped: Uint8Array, signal: AbortSignal): Promise<Bytes> {
    const request = { name, ciphertext: wrapped, ciphertextCrc32c: { value: crc32c(wrapped) } }
    for (let attempt = 1; ; attempt++) {
      let response
      try {
        [response] = await call(() => kms.asymmetricDecrypt(request, { signal, retry: DECRYPT_RETRY }), signal)
      } catch (error) {
        if (grpcCode(error) === INVALID_ARGUMENT) throw new UnwrapError({ cause: error })
        throw kmsError(error)
      }
      const { plaintext, plaintextCrc32c, verifiedCiphertextCrc32c } = response
      const opened = new Uint8Array(plaintext as Uint8Array)
      if (verifiedCiphertextCrc32c === true && plaintextCrc32c?.value != null &&
        Number(plaintextCrc32c.value) === crc32c(opened)) {
        return opened
      }
      if (attempt === INTEGRITY_ATTEMPTS) throw corrupted()
    }
  }

  return createVersionedProvider(
    { ...options, name: 'google-federated', remote: true, load, close: () => kms.close() }, log
  )
}

/** For one decryption, within the time that the limits give it. Only what certainly did not happen is repeated. */
const DECRYPT_RETRY = {
  retryCodes: [UNAVAILABLE],
  backoffSettings: {
    initialRetryDelayMillis: 50,
    retryDelayMultiplier: 2,
    maxRetryDelayMillis: 500,
    initialRpcTimeoutMillis: 3000,
    rpcTimeoutMultiplier: 1,
    maxRpcTimeoutMillis: 3000,
    totalTimeoutMillis: 1000
  }
}

function grpcCode (error: unknown): number | undefined {
  const { code } = error instanceof Error ? error as { code?: unknown } : {}
  return typeof code === 'number' ? code : undefined
}

/** What the KMS said, as something an operator can act on. */
function kmsError (cause: unknown): RemoteError {
  if (cause instanceof RemoteError) return cause
  const code = grpcCode(cause)
  if (code === UNAVAILABLE && /certificate|altnames/i.test((cause as { details?: string }).details ?? '')) {
    return connectionError(
      'Google Cloud KMS', Object.assign(new Error('TLS', { cause }), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    )
  }
  const [kind, message, advice]: [RemoteFailure, string, string] = ANSWERS.get(code) ??
    ['transient', 'Google Cloud KMS is not available', 'Check that the KMS endpoint can be reached from here']
  return new RemoteError(kind, message, {
    providerCode: CODE_NAMES[code ?? -1] ?? 'NO_STATUS',
    cause,
    advice,
    retryAfter: code === RESOURCE_EXHAUSTED ? 10 : undefined
  })
}

const ANSWERS = new Map<number | undefined, [RemoteFailure, string, string]>([
  [
    INVALID_ARGUMENT,
    ['configuration', 'The name of the KMS key is not accepted', 'Check project, location, key ring, key and version']
  ],
  [NOT_FOUND, ['refused', 'The KMS key version does not exist', 'Check project, location, key ring, key and version']],
  [
    PERMISSION_DENIED,
    ['refused', 'Google Cloud KMS denies the use of the key', 'Grant roles/cloudkms.cryptoKeyDecrypter and ' +
      'roles/cloudkms.publicKeyViewer on the key; KMS answers the same if project, key or version do not exist']
  ],
  [RESOURCE_EXHAUSTED, [
    'transient', 'The quota of Google Cloud KMS is used up',
    'Raise the quota for asymmetric operations, or have clients use OHTTP, which needs none'
  ]],
  [
    FAILED_PRECONDITION,
    ['refused', 'The KMS key version is not enabled', 'Enable it, or remove it from the configured versions']
  ],
  [UNAUTHENTICATED, [
    'transient', 'Google Cloud KMS does not accept the token',
    'A new one is fetched; if it lasts, check the clock of this machine'
  ]]
])

function corrupted (): RemoteError {
  return new RemoteError('transient', 'Data was corrupted between here and Google Cloud KMS', {
    providerCode: 'CRC32C_MISMATCH', advice: 'If it lasts, look for a proxy that changes bytes on the way'
  })
}
