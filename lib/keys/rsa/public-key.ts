/** How an RSA public key is published: its name and its text. */
import { createHash, createPublicKey } from 'node:crypto'
import type { PublishedKey } from '../provider.ts'

/**
 * Describes the key in `spki` (SubjectPublicKeyInfo, DER). The key id is the first 16 characters (96 bits) of the
 * base64url SHA-256 of these octets: replicas with the same key agree on it, and it need not be distributed.
 */
export function publishedKey (spki: Uint8Array): PublishedKey {
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  return {
    keyId: createHash('sha256').update(spki).digest('base64url').slice(0, 16),
    algorithm: 'RSA-OAEP-256',
    pem: key.export({ format: 'pem', type: 'spki' }).toString()
  }
}
