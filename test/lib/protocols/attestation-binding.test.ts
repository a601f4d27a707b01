// The binding of nonce and keys, against the published vectors and against a second computation of it.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import {
  KEY_KINDS, bindingDigest, bindingPreimage, bindingPreimageV1, deviceNonce, maaRuntimeData, reportData, sha256
} from '../../../lib/protocols/attestation.ts'
import type { AttestedKey, Claim, TypedValue } from '../../../lib/protocols/attestation.ts'
import { decodeBase64url, encodeBase64url } from '../../../lib/protocols/base64url.ts'

interface Vector {
  name: string
  version: 1 | 2
  nonce: string
  keys: Array<{ kind: string, value: string, sha256: string }>
  claims: Claim[]
  deviceNonce?: string
  devices: TypedValue[]
  preimage: string
  binding: string
  reportData: string
  googleNonce: string
  maaRuntimeData: string
}

const { vectors } = JSON.parse(
  readFileSync(new URL('../../../docs/vectors/attestation.json', import.meta.url), 'utf8')
) as { vectors: Vector[] }
const octets = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
const hex = (value: Uint8Array) => Buffer.from(value).toString('hex')

for (const vector of vectors) {
  t.test(`the vector "${vector.name}" holds`, async t => {
    const keys = vector.keys.map(({ kind, value }) => ({ kind, value: octets(value) }))
    const nonce = octets(vector.nonce)
    const preimage = vector.version === 1
      ? await bindingPreimageV1(nonce, keys)
      : await bindingPreimage(nonce, keys, vector)
    const digest = await sha256(preimage)
    t.equal(hex(preimage), vector.preimage)
    t.equal(hex(digest), vector.binding)
    if (vector.version === 2) {
      t.same(await bindingDigest(nonce, keys, vector), digest)
      t.equal(hex(await deviceNonce(nonce, keys, vector.claims)), vector.deviceNonce)
    }
    t.equal(hex(reportData(digest)), vector.reportData)
    t.equal(encodeBase64url(digest), vector.googleNonce)
    t.equal(maaRuntimeData(digest), vector.maaRuntimeData)
  })

  t.test(`the vector "${vector.name}" follows from the description alone`, async t => {
    const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest()
    const lp = (text: Buffer) => Buffer.concat([Buffer.from([text.length >> 8, text.length & 255]), text])
    const list = (items: Array<readonly [string, Buffer]>) => Buffer.concat([
      Buffer.from([0, items.length]), ...items.flatMap(([name, value]) => [lp(Buffer.from(name)), lp(hash(value))])
    ])
    const texts = (items: ReadonlyArray<readonly [string, string]>) => list(
      items.map(([name, value]) => [name, Buffer.from(value)])
    )
    const start = [
      lp(Buffer.from(`polaris attestation binding v${vector.version}`)),
      lp(Buffer.from(vector.nonce, 'hex')),
      list(vector.keys.map(({ kind, value }) => [kind, Buffer.from(value, 'hex')]))
    ]
    const base = Buffer.concat(vector.version === 1 ? start : [...start, texts(vector.claims)])
    const preimage = vector.version === 1 ? base : Buffer.concat([base, texts(vector.devices)])
    if (vector.version === 2) {
      t.equal(
        hash(Buffer.concat([lp(Buffer.from('polaris attestation device nonce v2')), lp(hash(base))])).toString('hex'),
        vector.deviceNonce
      )
    }
    t.equal(preimage.toString('hex'), vector.preimage)
    t.equal(createHash('sha256').update(preimage).digest('hex') + '00'.repeat(32), vector.reportData)
  })
}

t.test('a binding fits where platforms put it', async t => {
  const text = encodeBase64url(new Uint8Array(32))
  t.ok(text.length >= 10 && text.length <= 74, 'a nonce of Google\'s')
  t.equal(reportData(new Uint8Array(32)).length, 64)
  t.throws(() => reportData(new Uint8Array(31)), RangeError)
})

t.test('nonces and key counts out of bounds are refused', async t => {
  const key = (i: number): AttestedKey => ({ kind: 'tls-spki', value: Uint8Array.of(i) })
  for (const length of [0, 15, 65]) await t.rejects(bindingPreimage(new Uint8Array(length), []), RangeError)
  for (const length of [16, 64]) await t.resolves(bindingPreimage(new Uint8Array(length), []))
  await t.resolves(bindingPreimage(new Uint8Array(16), Array.from({ length: 16 }, (_, i) => key(i))))
  await t.rejects(bindingPreimage(new Uint8Array(16), Array.from({ length: 17 }, (_, i) => key(i))), RangeError)
})

t.test('different inputs have different pre-images', async () => {
  const pairs = fc.array(
    fc.tuple(fc.constantFrom('a', 'b', 'weakenings'), fc.string({ maxLength: 3 })), { maxLength: 3 }
  )
  const input = fc.record({
    nonce: fc.uint8Array({ minLength: 16, maxLength: 64 }),
    keys: fc.array(
      fc.record({ kind: fc.constantFrom(...KEY_KINDS), value: fc.uint8Array({ minLength: 1, maxLength: 40 }) }),
      { maxLength: 4 }
    ),
    claims: pairs,
    devices: pairs
  })
  const identity = ({
    nonce, keys, claims, devices
  }: { nonce: Uint8Array, keys: Array<{ kind: string, value: Uint8Array }>, claims: unknown, devices: unknown }) =>
    JSON.stringify([hex(nonce), keys.map(key => [key.kind, hex(key.value)]), claims, devices])
  await fc.assert(fc.asyncProperty(input, input, async (a, b) => {
    const [one, other] = await Promise.all(
      [a, b].map(({ nonce, keys, ...too }) => bindingPreimage(nonce, keys as AttestedKey[], too))
    )
    return (identity(a) === identity(b)) === (hex(one!) === hex(other!))
  }), { numRuns: 200 })
})

t.test('base64url has one text for each octet string, and no other is read', async t => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), value => {
    const text = encodeBase64url(value)
    return text === Buffer.from(value).toString('base64url') && hex(decodeBase64url(text)!) === hex(value)
  }))
  fc.assert(fc.property(fc.string({ maxLength: 12 }), text => {
    const value = decodeBase64url(text)
    return value === undefined || encodeBase64url(value) === text
  }))
  for (const text of ['A', 'AB==', 'AAAAA', 'AB', 'AAB', '+/AA', 'A A', 'AA\n', 'ÄÄ']) {
    t.equal(decodeBase64url(text), undefined, text)
  }
})
