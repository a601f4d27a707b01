/**
 * Opens what Key Vault's and Managed HSM's release operation returns: a JWS that the vault signed, with the key
 * encrypted to a key of ours (RSA AES key wrap: RSA-OAEP for an AES key, RFC 5649 for the private key).
 */
import {
  constants, createDecipheriv, createPrivateKey, createPublicKey, privateDecrypt, X509Certificate
} from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { getCACertificates } from 'node:tls'
import { compactVerify, decodeProtectedHeader } from 'jose'
import { RemoteError } from '../../remote/error.ts'

export interface ReleaseExpectations {
  /** Name of the vault's host, for which the signing certificate must be. */
  host: string
  /** Name of the key. */
  key: string
  /** Version that was asked for, if a certain one was. */
  version?: string | undefined
  /** Sent with the request. The vault may repeat it; what makes the answer fresh is that it is encrypted to our key. */
  nonce: string
  /** Certificates (PEM) to trust. Default: what Node trusts for TLS. */
  trustAnchors?: readonly string[] | undefined
}

interface Payload {
  request?: { enc?: unknown, nonce?: unknown }
  response?: { key?: { key?: { kid?: unknown, n?: unknown, key_hsm?: unknown } } }
}

const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512']
const OAEP_HASHES = new Map<unknown, string>([
  ['CKM_RSA_AES_KEY_WRAP', 'sha1'], ['RSA_AES_KEY_WRAP_256', 'sha256'], ['RSA_AES_KEY_WRAP_384', 'sha384']
])
/** The initial value of RFC 5649, section 3, as OpenSSL takes it. */
const WRAP_PAD_IV = Buffer.from('A65959A6', 'hex')
const MAX_CHAIN = 10

/**
 * Verifies the JWS and unwraps the private key in it.
 *
 * @throws {RemoteError} of kind `refused`; the provider code names the step
 */
export async function openRelease (
  jws: string, wrappingKey: KeyObject, expected: ReleaseExpectations
): Promise<KeyObject> {
  const payload = await verify(jws, expected)
  const key = payload.response?.key?.key
  checkName(key?.kid, expected)
  if (payload.request?.nonce !== undefined && payload.request.nonce !== expected.nonce) {
    throw invalid('NONCE', 'answers another request')
  }
  const hash = OAEP_HASHES.get(payload.request?.enc)
  if (hash === undefined || typeof key?.key_hsm !== 'string') throw invalid('FORMAT', 'is not in a known form')
  const privateKey = unwrap(ciphertextOf(key.key_hsm), hash, wrappingKey)
  if (key.n !== undefined && createPublicKey(privateKey).export({ format: 'jwk' }).n !== key.n) {
    throw invalid('KEY_MISMATCH', 'does not hold the key that it names')
  }
  return privateKey
}

/** The payload, signed by the certificate of the vault. */
async function verify (jws: string, expected: ReleaseExpectations): Promise<Payload> {
  try {
    const leaf = signer(jws, expected)
    const { payload } = await compactVerify(jws, leaf.publicKey, { algorithms: ALGORITHMS })
    return (JSON.parse(Buffer.from(payload).toString('utf8')) ?? {}) as Payload
  } catch (cause) {
    if (cause instanceof RemoteError) throw cause
    throw invalid('SIGNATURE', 'has an invalid signature', cause)
  }
}

function signer (jws: string, { host, trustAnchors }: ReleaseExpectations): X509Certificate {
  const { x5c, 'x5t#S256': thumbprint } = decodeProtectedHeader(jws) as { x5c?: unknown, 'x5t#S256'?: unknown }
  if (!Array.isArray(x5c) || x5c.length > MAX_CHAIN || !x5c.every(der => typeof der === 'string')) {
    throw invalid('CERTIFICATE', 'carries no certificates')
  }
  const chain = x5c.map(der => new X509Certificate(Buffer.from(der, 'base64')))
  const [leaf] = chain
  if (leaf === undefined) throw invalid('CERTIFICATE', 'carries no certificates')
  const anchors = (trustAnchors ?? getCACertificates('default')).map(pem => new X509Certificate(pem))
  if (!isTrusted(chain, anchors)) {
    throw invalid(
      'CERTIFICATE', 'is signed with a certificate that no trusted authority issued, or that is not valid now'
    )
  }
  if (leaf.checkHost(host, { subject: 'never' }) === undefined) {
    throw invalid('CERTIFICATE_HOST', 'is signed with a certificate for another host')
  }
  const digest = Buffer.from(leaf.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')
  if (thumbprint !== undefined && thumbprint !== digest) {
    throw invalid('CERTIFICATE', 'names a certificate that it does not carry')
  }
  return leaf
}

/** Whether each certificate was issued by the next, up to one that is, or was issued by, an anchor. */
function isTrusted (chain: readonly X509Certificate[], anchors: readonly X509Certificate[]): boolean {
  for (const [index, certificate] of chain.entries()) {
    if (!isCurrent(certificate)) return false
    if (index > 0 && anchors.some(({ raw }) => raw.equals(certificate.raw))) return true
    if (anchors.some(anchor => isCurrent(anchor) && isIssuedBy(certificate, anchor))) return true
    const issuer = chain[index + 1]
    if (issuer === undefined || !isIssuedBy(certificate, issuer)) return false
  }
  return false
}

function isIssuedBy (certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

function isCurrent ({ validFromDate, validToDate }: X509Certificate): boolean {
  const now = Date.now()
  return validFromDate.getTime() <= now && now <= validToDate.getTime()
}

/** `kid` is `https://host/keys/name/version`. */
function checkName (kid: unknown, { key, version }: ReleaseExpectations): void {
  const path = typeof kid === 'string' && URL.canParse(kid) ? new URL(kid).pathname.split('/') : []
  if (path[1] !== 'keys' || path[2] !== key || (version && path[3] !== version)) {
    throw invalid('KEY_NAME', 'holds a key that was not requested')
  }
}

/** `key_hsm` is base64url of JSON whose `ciphertext` is base64url. */
function ciphertextOf (keyHsm: string): Buffer {
  try {
    const { ciphertext } = JSON.parse(Buffer.from(keyHsm, 'base64url').toString('utf8')) as { ciphertext?: unknown }
    if (typeof ciphertext === 'string') return Buffer.from(ciphertext, 'base64url')
  } catch (cause) {
    throw invalid('FORMAT', 'is not in a known form', cause)
  }
  throw invalid('FORMAT', 'is not in a known form')
}

function unwrap (ciphertext: Buffer, oaepHash: string, wrappingKey: KeyObject): KeyObject {
  const modulusLength = (wrappingKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8
  let kek: Buffer | undefined
  let pkcs8: Buffer | undefined
  try {
    kek = privateDecrypt(
      { key: wrappingKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, ciphertext.subarray(0, modulusLength)
    )
    const decipher = createDecipheriv('id-aes256-wrap-pad', kek, WRAP_PAD_IV)
    const wrapped = ciphertext.subarray(modulusLength)
    // In one call: key wrap is not a stream, and `final` has nothing to add.
    pkcs8 = decipher.update(wrapped)
    return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  } catch {
    // OpenSSL's reason would only say which layer did not fit.
    throw invalid('UNWRAP', 'cannot be unwrapped with the key of this request')
  } finally {
    kek?.fill(0)
    pkcs8?.fill(0)
  }
}

function invalid (providerCode: string, what: string, cause?: unknown): RemoteError {
  return new RemoteError('refused', `What Key Vault released ${what}`, {
    providerCode: `RELEASE_${providerCode}`,
    cause,
    advice: 'Check the URL of the vault and the clock of this ' +
      'machine; if both are right, another server may be answering in place of the vault'
  })
}
