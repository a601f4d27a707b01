// Reading an attestation document: what came from the wire is either well-formed or refused by one kind of error.
import fc from 'fast-check'
import t from 'tap'
import {
  AttestationDocumentError, MAX_DOCUMENT_BYTES, attestationDocument, parseAttestationDocument
} from '../../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'

const base = await attestationDocument({
  tee: 'sev-snp',
  nonce: new Uint8Array(32).fill(7),
  cached: false,
  keys: [
    { kind: 'polaris-v1-spki', value: new Uint8Array(90).fill(1) },
    { kind: 'ohttp-keys', value: new Uint8Array(45).fill(2) }
  ],
  claims: [['weakenings', '[]']],
  evidence: [['application/vnd.polaris.sev-snp-report', 'AAAA']],
  devices: [['application/vnd.polaris.nvidia-gpu-evidence+json', '{}']],
  endorsements: [['application/pkix-cert', 'AAAA'], ['application/pkix-cert', 'AAEC']],
  issuedAt: new Date('2026-01-02T03:04:05.678Z'),
  expiresAt: new Date('2026-01-02T04:04:05Z')
})

const spki = base.keys[0]!

t.test('a document survives the way', async t => {
  for (const json of [JSON.stringify(base), new TextEncoder().encode(JSON.stringify(base, null, 2))]) {
    const parsed = parseAttestationDocument(json)
    t.equal(parsed.tee, 'sev-snp')
    t.equal(parsed.cached, false)
    t.same(parsed.nonce, new Uint8Array(32).fill(7))
    t.same(
      parsed.keys.map(key => [key.kind, key.value.length, encodeBase64url(key.sha256)]),
      base.keys.map((key, i) => [key.kind, [90, 45][i], key.sha256])
    )
    t.equal(encodeBase64url(parsed.binding.sha256), base.binding.sha256)
    t.same(parsed.evidence, base.evidence)
    t.same(parsed.claims, base.claims)
    t.same(parsed.devices, base.devices)
    t.equal(parsed.version, 2)
    t.same(parsed.endorsements, base.endorsements)
    t.equal(parsed.issuedAt.toISOString(), '2026-01-02T03:04:05.678Z')
    t.equal(parsed.expiresAt?.toISOString(), '2026-01-02T04:04:05.000Z')
  }
})

t.test('a document of version 1 has neither claims nor devices, whatever it says', async t => {
  const parsed = parseAttestationDocument(JSON.stringify({ ...base, profile: 'polaris-attestation-v1' }))
  t.match(parsed, { version: 1, claims: [], devices: [] })
  t.equal(parsed.claims.length + parsed.devices.length, 0)
})

t.test('what a later version brings is read', async t => {
  const key = { ...spki, kind: 'receipt-key' }
  const parsed = parseAttestationDocument(JSON.stringify(
    { ...base, tee: 'cca', keys: [key], claims: [['novelty', 'x']], evidence: [['application/novel', 'x']] }
  ))
  t.match(
    parsed,
    { tee: 'cca', keys: [{ kind: 'receipt-key' }], claims: [['novelty', 'x']], evidence: [['application/novel', 'x']] }
  )
})

t.test('an unknown member and a missing expiry do not matter', async t => {
  const { expiresAt, ...rest } = base
  t.ok(expiresAt)
  t.equal(parseAttestationDocument(JSON.stringify({ ...rest, novelty: 1 })).expiresAt, undefined)
})

const long = (octets: number) => encodeBase64url(new Uint8Array(octets))
const malformed: Array<[name: string, change: Record<string, unknown>]> = [
  ['another profile', { profile: 'polaris-attestation-v3' }],
  ['a TEE of no name', { tee: 'Intel SGX' }],
  ['a TEE that is no string', { tee: ['none'] }],
  ['a missing nonce', { nonce: undefined }],
  ['a short nonce', { nonce: long(15) }],
  ['a long nonce', { nonce: long(65) }],
  ['a padded nonce', { nonce: `${long(16)}==` }],
  ['a nonce with stray bits', { nonce: `${long(16).slice(0, -1)}B` }],
  ['cached as text', { cached: 'false' }],
  ['keys as an object', { keys: {} }],
  ['a key of no kind', { keys: [{ ...spki, kind: 'PGP key' }] }],
  ['an empty key', { keys: [{ ...spki, value: '' }] }],
  ['a key that is too long', { keys: [{ ...spki, value: long(8193) }] }],
  ['a key without hash', { keys: [{ ...spki, sha256: undefined }] }],
  ['a short hash', { keys: [{ ...spki, sha256: long(31) }] }],
  ['a null key', { keys: [null] }],
  ['the same key twice', { keys: [spki, spki] }],
  [
    'seventeen keys',
    { keys: Array.from({ length: 17 }, (_, i) => ({ ...spki, value: encodeBase64url(Uint8Array.of(i)) })) }
  ],
  ['no binding', { binding: undefined }],
  ['a binding without pre-image', { binding: { sha256: base.binding.sha256 } }],
  ['evidence as a string', { evidence: 'x' }],
  ['evidence that is no pair', { evidence: [['a']] }],
  ['evidence of three', { evidence: [['a', 'b', 'c']] }],
  ['evidence of numbers', { evidence: [['a', 1]] }],
  ['a long media type', { evidence: [['a'.repeat(129), 'b']] }],
  ['long evidence', { evidence: [['a', 'b'.repeat(128 * 1024 + 1)]] }],
  ['much evidence', { evidence: Array(17).fill(['a', 'b']) }],
  ['no endorsements', { endorsements: undefined }],
  ['no claims', { claims: undefined }],
  ['a claim of no name', { claims: [['A claim', '']] }],
  ['a claim twice', { claims: [['a', '1'], ['a', '2']] }],
  ['no devices', { devices: undefined }],
  ['long evidence of a device', { devices: [['a', 'b'.repeat(1024 * 1024 + 1)]] }],
  ['a time without zone', { issuedAt: '2026-01-02T03:04:05' }],
  ['a time in numbers', { issuedAt: 1767323045 }],
  ['a time that is none', { issuedAt: '2026-13-02T03:04:05Z' }],
  ['an expiry that is null', { expiresAt: null }]
]
for (const [name, change] of malformed) {
  t.test(`${name} is refused`, async t => {
    t.throws(
      () => parseAttestationDocument(JSON.stringify({ ...base, ...change })), { code: 'ERR_ATTESTATION_DOCUMENT' }
    )
  })
}

t.test('bounds are inclusive', async t => {
  for (const change of [{ nonce: long(16) }, { nonce: long(64) }, {
    evidence: [['a'.repeat(128), 'b'.repeat(128 * 1024)]]
  },
  { keys: [{ ...spki, value: long(8192) }] }, { keys: [] }, { evidence: Array(16).fill(['a', 'b']) }]) {
    t.doesNotThrow(() => parseAttestationDocument(JSON.stringify({ ...base, ...change })))
  }
})

t.test('whatever is not JSON of an object is refused', async t => {
  for (const json of ['', 'null', '[]', '1', '"x"', '{', '{"__proto__":{"profile":"polaris-attestation-v1"}}']) {
    t.throws(() => parseAttestationDocument(json), AttestationDocumentError)
  }
  t.throws(() => parseAttestationDocument(Uint8Array.of(0x22, 0xff, 0x22)), AttestationDocumentError, 'not UTF-8')
  t.throws(
    () => parseAttestationDocument(' '.repeat(MAX_DOCUMENT_BYTES) + JSON.stringify(base)), AttestationDocumentError,
    'too long'
  )
})

t.test('members are not read from a prototype', async t => {
  const { profile, ...rest } = base
  t.throws(
    () => parseAttestationDocument(`{"__proto__":{"profile":"${profile}"},${JSON.stringify(rest).slice(1)}`),
    AttestationDocumentError
  )
})

t.test('truncation at every octet and random changes give a document or that error, nothing else', async t => {
  const whole = new TextEncoder().encode(JSON.stringify(base))
  for (let length = 0; length < whole.length; length++) {
    t.throws(() => parseAttestationDocument(whole.subarray(0, length)), AttestationDocumentError)
  }
  fc.assert(fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, octet) => {
    const changed = whole.slice()
    changed[at] = octet
    try {
      parseAttestationDocument(changed)
      return true
    } catch (error) {
      return error instanceof AttestationDocumentError
    }
  }), { numRuns: 2000 })
  fc.assert(fc.property(fc.jsonValue(), value => {
    try {
      parseAttestationDocument(JSON.stringify(value))
      return false
    } catch (error) {
      return error instanceof AttestationDocumentError
    }
  }))
})
