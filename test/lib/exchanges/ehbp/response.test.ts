/** The keys and frames of EHBP responses: the recorded vectors, frame sizes, and the order of frames. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { createFrameSealer, deriveResponseKey } from '../../../../lib/exchanges/ehbp/response.ts'
import { openResponse } from '../../../fixtures/ehbp-client.ts'
import { ABSENT, hex, loadVectors, unhex } from '../../../fixtures/vectors.ts'

interface Derived {
  exportedSecret: string
  requestEnc: string
  responseNonce: string
  derivedKey: string
  derivedNonceBase: string
}
interface Sealed extends Omit<Derived, 'derivedKey' | 'derivedNonceBase'> {
  plaintext: string
  encryptedResponse: string
}

const derived = loadVectors<Derived>('ehbp-derive.json')
const sealed = loadVectors<Sealed>('ehbp-response.json')

const keyOf = ({ exportedSecret, requestEnc, responseNonce }: Omit<Sealed, 'plaintext' | 'encryptedResponse'>) =>
  deriveResponseKey(unhex(exportedSecret), unhex(requestEnc), unhex(responseNonce))

t.test('keys are derived as the reference implementation does', { skip: derived === undefined && ABSENT }, t => {
  const { key, baseNonce } = keyOf(derived!)
  t.equal(hex(key), derived!.derivedKey)
  t.equal(hex(baseNonce), derived!.derivedNonceBase)
  t.end()
})

t.test('a response is sealed as the reference implementation does, and opens', {
  skip: sealed === undefined &&
  ABSENT
}, t => {
  t.equal(hex(createFrameSealer(keyOf(sealed!))(unhex(sealed!.plaintext))), sealed!.encryptedResponse)
  const opened = openResponse(
    unhex(sealed!.exportedSecret), unhex(sealed!.requestEnc), sealed!.responseNonce, unhex(sealed!.encryptedResponse)
  )
  t.equal(hex(Buffer.concat(opened)), sealed!.plaintext)
  t.end()
})

const MOST = 64 * 1024 - 16

for (const [length, frames] of [
  [0, 0], [1, 1], [MOST - 1, 1], [MOST, 1], [MOST + 1, 2], [2 * MOST, 2], [2 * MOST + 1, 3]
] as const) {
  t.test(`${length} bytes make ${frames} frames of at most 64 KiB`, t => {
    const [secret, enc, nonce] = [randomBytes(32), randomBytes(32), randomBytes(32)]
    const plaintext = randomBytes(length)
    const body = createFrameSealer(deriveResponseKey(secret, enc, nonce))(plaintext)
    const opened = openResponse(secret, enc, hex(nonce), body)
    t.equal(opened.length, frames)
    t.equal(opened.every(piece => piece.length + 16 <= 64 * 1024), true)
    t.equal(Buffer.concat(opened).equals(plaintext), true)
    t.end()
  })
}

t.test('frames count up over all pieces, and no byte of a body can change unnoticed', t => {
  const [secret, enc, nonce] = [randomBytes(32), randomBytes(32), randomBytes(32)]
  const pieces = ['a', '', 'b', 'c'.repeat(300)]
  const seal = createFrameSealer(deriveResponseKey(secret, enc, nonce))
  const body = Buffer.concat(pieces.map(piece => seal(Buffer.from(piece))))
  t.strictSame(openResponse(secret, enc, hex(nonce), body).map(String), pieces.filter(piece => piece !== ''))
  fc.assert(fc.property(fc.nat(body.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
    const changed = Buffer.from(body)
    changed[at]! ^= change
    try {
      const opened = openResponse(secret, enc, hex(nonce), changed)
      return opened.length < 3
    } catch {
      return true
    }
  }))
  t.end()
})
