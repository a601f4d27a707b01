/**
 * The client's side of HPKE, on WebCrypto through the `hpke` package: it runs in browsers and in Node. Sealing a
 * request, and opening what comes back for it.
 */
import * as hpke from 'hpke'
import type { Bytes } from '../../lib/protocols/bytes.ts'
import {
  AEAD_AES_128_GCM, AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305, KDF_HKDF_SHA256, KEM_MLKEM768_X25519, KEM_X25519,
  isSupported
} from '../../lib/protocols/ohttp/suites.ts'
import type { SymmetricSuite } from '../../lib/protocols/ohttp/suites.ts'
import type { KeyConfig } from '../../lib/protocols/ohttp/key-config.ts'
import { computeNonce } from '../../lib/protocols/ohttp/nonce.ts'
import {
  OhttpError, RESPONSE_KEY_LABEL, RESPONSE_NONCE_LABEL, requestInfo, responseSizes
} from '../../lib/protocols/ohttp/ohttp.ts'
import type { Labels, RequestHeader } from '../../lib/protocols/ohttp/ohttp.ts'

const KEMS = new Map<number, hpke.KEMFactory>([
  [KEM_X25519, hpke.KEM_DHKEM_X25519_HKDF_SHA256], [KEM_MLKEM768_X25519, hpke.KEM_MLKEM768_X25519]
])
const AEADS = new Map<number, hpke.AEADFactory>([
  [AEAD_AES_128_GCM, hpke.AEAD_AES_128_GCM],
  [AEAD_AES_256_GCM, hpke.AEAD_AES_256_GCM],
  [AEAD_CHACHA20_POLY1305, hpke.AEAD_ChaCha20Poly1305]
])

/** A key, and what to use it with. */
export interface EncryptionKey {
  readonly config: KeyConfig
  readonly suite: SymmetricSuite
}

export interface Sender {
  readonly header: RequestHeader
  readonly enc: Bytes
  /** Seals the next piece of the request. */
  seal (plaintext: Uint8Array, aad: Uint8Array): Promise<Bytes>
  /** What opens the response that starts with this nonce: the n-th of its pieces, from 0. */
  responseOpener (responseNonce: Uint8Array): Promise<ResponseOpener>
}

/** @throws {OhttpError} ERR_OHTTP_OPEN */
export type ResponseOpener = (ciphertext: Uint8Array, aad: Uint8Array, n: number) => Promise<Bytes>

/** Where a test or a vector needs to choose the ephemeral key. */
export type KemFactory = hpke.KEMFactory

/**
 * Encapsulates to a key.
 *
 * @throws {OhttpError} ERR_OHTTP_KEY: the algorithms are not ones that we, or this platform, speak, or the key is bad
 */
export async function setupSender (
  { config, suite }: EncryptionKey, labels: Labels, kem = KEMS.get(config.kemId)
): Promise<Sender> {
  const { keyId, kemId } = config
  const { kdfId, aeadId } = suite
  const header = { keyId, kemId, kdfId, aeadId }
  const aeadFactory = AEADS.get(aeadId)
  if (kem === undefined || aeadFactory === undefined || kdfId !== KDF_HKDF_SHA256) throw new OhttpError('ERR_OHTTP_KEY')
  const cipherSuite = new hpke.CipherSuite(kem, hpke.KDF_HKDF_SHA256, aeadFactory)
  const info = requestInfo(header, labels)
  const { encapsulatedSecret, ctx } = await encapsulate(cipherSuite, config.publicKey, info)
  const { Nk, Nn, nonceLength } = responseSizes(aeadId)
  return {
    header,
    enc: Uint8Array.from(encapsulatedSecret),
    seal: async (plaintext, aad) => Uint8Array.from(await ctx.Seal(plaintext, aad)),
    async responseOpener (responseNonce) {
      const kdf = hpke.KDF_HKDF_SHA256()
      const aead = aeadFactory()
      const secret = await ctx.Export(labels.response, nonceLength)
      const prk = await kdf.Extract(hpke.concat(encapsulatedSecret, responseNonce), secret)
      const key = await kdf.Expand(prk, RESPONSE_KEY_LABEL, Nk)
      const nonce = await kdf.Expand(prk, RESPONSE_NONCE_LABEL, Nn)
      return async (ciphertext, aad, n) => {
        try {
          return Uint8Array.from(await aead.Open(key, computeNonce(nonce, n), aad, ciphertext))
        } catch (cause) {
          throw new OhttpError('ERR_OHTTP_OPEN', { cause })
        }
      }
    }
  }
}

async function encapsulate (
  suite: hpke.CipherSuite, publicKey: Uint8Array, info: Uint8Array
): ReturnType<hpke.CipherSuite['SetupSender']> {
  try {
    return await suite.SetupSender(await suite.DeserializePublicKey(publicKey), { info })
  } catch (cause) {
    throw new OhttpError('ERR_OHTTP_KEY', { cause })
  }
}

/**
 * The key to use of those that a server offers: the hybrid one where this platform has ML-KEM, otherwise the server's
 * first; with AES-GCM where it is offered, as not all browsers have ChaCha20-Poly1305.
 *
 * @returns undefined: there is none that we speak
 */
export async function selectKey (configs: readonly KeyConfig[]): Promise<EncryptionKey | undefined> {
  const hybridFirst = [
    ...configs.filter(({ kemId }) => kemId === KEM_MLKEM768_X25519),
    ...configs.filter(({ kemId }) => kemId !== KEM_MLKEM768_X25519)
  ]
  for (const config of hybridFirst) {
    const suites = config.suites.filter(isSupported)
    const suite = suites.find(({ aeadId }) => aeadId !== AEAD_CHACHA20_POLY1305) ?? suites[0]
    if (suite !== undefined && await isUsable(config)) return { config, suite }
  }
  return undefined
}

/** Whether this platform can read the key: it has the KEM, and the key is valid. */
async function isUsable ({ kemId, publicKey }: KeyConfig): Promise<boolean> {
  const kem = KEMS.get(kemId)
  if (kem === undefined) return false
  const suite = new hpke.CipherSuite(kem, hpke.KDF_HKDF_SHA256, hpke.AEAD_AES_128_GCM)
  return await suite.DeserializePublicKey(publicKey).then(() => true, () => false)
}
