/** The receiving side of HPKE, base mode (RFC 9180, section 5.1), behind a KEM that runs elsewhere. */
import { EMPTY, uint16 } from '../protocols/bytes.ts'
import { aeadSizes } from '../protocols/ohttp/suites.ts'
import { computeNonce } from '../protocols/ohttp/nonce.ts'
import { createAead } from './aead.ts'
import type { Owned } from '../streams/owned.ts'
import { Nh } from './hmac.ts'
import { createLabeled } from './labeled.ts'

/** Identifiers of the three algorithms. The KDF is HKDF-SHA256. */
export interface HpkeSuite {
  readonly kemId: number
  readonly kdfId: number
  readonly aeadId: number
}

export interface Recipient {
  /** Opens the next message. One that does not open leaves the sequence where it is. @throws as an AEAD does */
  open (ciphertext: Uint8Array, aad: Uint8Array): Owned
  /**
   * Opens the next message, which may be long and has no associated data. Nothing else may be opened meanwhile.
   * @throws as open
   */
  openLong (ciphertext: Uint8Array): Promise<Owned>
  /** At most 32 octets. */
  export (context: Uint8Array, length: number): Uint8Array
}

/** Makes contexts for one suite and info, of which a part of the key schedule can be kept. */
export type RecipientFactory = (sharedSecret: Uint8Array) => Recipient

const MODE_BASE = Uint8Array.of(0)
const LABELS = {
  pskIdHash: Buffer.from('psk_id_hash'),
  infoHash: Buffer.from('info_hash'),
  secret: Buffer.from('secret'),
  key: Buffer.from('key'),
  baseNonce: Buffer.from('base_nonce'),
  exporter: Buffer.from('exp'),
  exported: Buffer.from('sec')
}

/** @throws {RangeError} the AEAD is not one of ours */
export function createRecipientFactory (suite: HpkeSuite, info: Uint8Array): RecipientFactory {
  const { kemId, kdfId, aeadId } = suite
  const sizes = aeadSizes(aeadId)
  if (sizes === undefined) throw new RangeError('Unknown AEAD')
  const labeled = createLabeled(Buffer.concat([Buffer.from('HPKE'), uint16(kemId, kdfId, aeadId)]))
  const context = Buffer.concat([
    MODE_BASE, labeled.extract(EMPTY, LABELS.pskIdHash, EMPTY), labeled.extract(EMPTY, LABELS.infoHash, info)
  ])
  return sharedSecret => {
    const secret = labeled.extract(sharedSecret, LABELS.secret, EMPTY)
    const aead = createAead(aeadId, labeled.expand(secret, LABELS.key, context, sizes.Nk))
    const baseNonce = labeled.expand(secret, LABELS.baseNonce, context, sizes.Nn)
    const exporterSecret = labeled.expand(secret, LABELS.exporter, context, Nh)
    let sequence = 0
    return {
      open (ciphertext, aad) {
        const plaintext = aead.open(computeNonce(baseNonce, sequence), ciphertext, aad)
        sequence++
        return plaintext
      },
      async openLong (ciphertext) {
        const plaintext = await aead.openLong(computeNonce(baseNonce, sequence), ciphertext)
        sequence++
        return plaintext
      },
      export: (exporterContext, length) => labeled.expand(exporterSecret, LABELS.exported, exporterContext, length)
    }
  }
}
