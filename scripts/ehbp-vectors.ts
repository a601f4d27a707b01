/** docs/vectors/ehbp.json: a request and its response, each of several frames. */
import * as hpke from 'hpke'
import { createFrameSealer, deriveResponseKey } from '../lib/exchanges/ehbp/response.ts'
import { ascii, concat } from '../lib/protocols/bytes.ts'
import { EHBP_SUITE, LENGTH_BYTES, REQUEST_INFO, RESPONSE_LABEL, encodeEhbpKey } from '../lib/protocols/ehbp.ts'
import type { KemKeyPair } from '../lib/hpke/kem.ts'
import type { KemFactory } from '../sdk/ohttp/hpke-sender.ts'

export interface EhbpInputs {
  readonly ikmR: Uint8Array
  readonly keyPair: KemKeyPair
  /** Which always encapsulates the same. */
  readonly kem: KemFactory
  readonly responseNonce: Uint8Array
}

/** One frame each; an empty one is a tag alone. */
const PIECES = ['some', '', ' content'].map(ascii)
/** Between frames it counts for nothing. */
const NO_LENGTH = new Uint8Array(LENGTH_BYTES)

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

function frame (ciphertext: Uint8Array): Uint8Array {
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(ciphertext.length)
  return concat(length, ciphertext)
}

export async function ehbpVectors ({ ikmR, keyPair, kem, responseNonce }: EhbpInputs): Promise<object> {
  const suite = new hpke.CipherSuite(kem, hpke.KDF_HKDF_SHA256, hpke.AEAD_AES_256_GCM)
  const sender = await suite.SetupSender(await suite.DeserializePublicKey(keyPair.publicKey), { info: REQUEST_INFO })
  const enc = sender.encapsulatedSecret
  const frames: Uint8Array[] = []
  for (const piece of PIECES) frames.push(frame(await sender.ctx.Seal(piece)))
  const [first, ...others] = frames
  const secret = await sender.ctx.Export(RESPONSE_LABEL, 32)
  const derived = deriveResponseKey(secret, enc, responseNonce)
  const seal = createFrameSealer(derived)
  return {
    format: 'EHBP 0.3.1',
    ...EHBP_SUITE,
    ikmR: hex(ikmR),
    keyConfig: hex(encodeEhbpKey(keyPair.publicKey)),
    enc: hex(enc),
    sharedSecret: hex(keyPair.decapsulate(enc)),
    request: hex(concat(...PIECES)),
    requestBody: hex(concat(first!, NO_LENGTH, ...others)),
    exportedSecret: hex(secret),
    responseNonce: hex(responseNonce),
    responseKey: hex(derived.key),
    responseNonceBase: hex(derived.baseNonce),
    response: hex(concat(...PIECES)),
    responseBody: hex(concat(NO_LENGTH, ...PIECES.map(piece => seal(piece))))
  }
}
