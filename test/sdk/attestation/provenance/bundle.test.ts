// Bundles of our own that nobody signed: what is malformed is refused as such, and what is well-formed by its
// signature.
import fc from 'fast-check'
import t from 'tap'
import { BundleError, parseBundle } from '../../../../sdk/attestation/provenance/bundle.ts'
import { appraiseProvenance } from '../../../../sdk/attestation/provenance/index.ts'
import { workflowIdentity } from '../../../../sdk/attestation/provenance/identity.ts'
import { certificate } from '../../../fixtures/gpu.ts'

const base64 = (value: unknown) => Buffer.from(
  typeof value === 'string' ? value : JSON.stringify(value)
).toString('base64')
const digest = 'ab'.repeat(32)
const statement = {
  _type: 'https://in-toto.io/Statement/v1',
  subject: [{ name: 'image', digest: { sha256: digest } }],
  predicateType: 'https://slsa.dev/provenance/v1',
  predicate: {}
}
const unsigned = certificate('nobody').der.toString('base64')
const entry = {
  integratedTime: '1769121722',
  inclusionProof: { rootHash: 'cm9vdA==', treeSize: '7', checkpoint: { envelope: 'log\n7\ncm9vdA==\n\n— log sig\n' } }
}

interface Parts {
  mediaType?: unknown
  payload?: unknown
  signatures?: unknown
  payloadType?: unknown
  certificate?: unknown
  entries?: unknown
}

function bundle (parts: Parts = {}) {
  const {
    mediaType = 'application/vnd.dev.sigstore.bundle.v0.3+json', payload = base64(statement),
    signatures = [{ sig: 'AA==' }]
  } = parts
  const {
    payloadType = 'application/vnd.in-toto+json', certificate = { rawBytes: unsigned }, entries = [entry]
  } = parts
  return {
    mediaType,
    verificationMaterial: { certificate, tlogEntries: entries },
    dsseEnvelope: { payload, payloadType, signatures }
  }
}

const appraise = async (input: unknown, options: object = {}) => (await appraiseProvenance(
  input, { policy: { repository: 'owner/name' }, running: { digest }, ...options }
)).checks
const failed = async (
  input: unknown, options?: object
) => (await appraise(input, options)).filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)

t.test('a well-formed one is read', async t => {
  const parsed = parseBundle(JSON.stringify(bundle()))
  t.same(parsed.logEntries, [{ time: new Date('2026-01-22T22:42:02Z'), consistent: true }])
  t.match(parsed.statement, { type: statement._type, predicateType: statement.predicateType, digest })
})

t.test('one that nobody signed is refused by its signature and its identity, and by nothing else', async t => {
  t.same(
    await failed(bundle()),
    ['provenance-signature', 'provenance-issuer', 'provenance-repository', 'provenance-workflow', 'provenance-ref']
  )
})

const malformed: Array<[name: string, input: unknown]> = [
  ['nothing', undefined],
  ['text that is no JSON', '{'],
  ['a list', []],
  ['an older version', bundle({ mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.2' })],
  ['no certificate', bundle({ certificate: null })],
  ['a certificate that is none', bundle({ certificate: { rawBytes: 'AAAA' } })],
  ['no signature', bundle({ signatures: [] })],
  ['two signatures', bundle({ signatures: [{}, {}] })],
  ['a payload that is no base64', bundle({ payload: '?' })],
  ['a payload that is no text', bundle({ payload: '/w==' })],
  ['a payload that is no JSON', bundle({ payload: base64('{') })],
  ['no subject', bundle({ payload: base64({ ...statement, subject: [] }) })],
  ['a subject without a digest', bundle({ payload: base64({ ...statement, subject: [{}] }) })],
  ['a payload type that is a number', bundle({ payloadType: 1 })],
  ['entries that are no list', bundle({ entries: {} })],
  ['too many entries', bundle({ entries: Array(17).fill(entry) })],
  ['an entry without a proof', bundle({ entries: [{ integratedTime: '1' }] })],
  ['an entry of no time', bundle({ entries: [{ ...entry, integratedTime: '-1' }] })],
  ['one that is too long', ' '.repeat(4 * 1024 * 1024 + 1)]
]
for (const [name, input] of malformed) {
  t.test(`${name} is no bundle`, async t => { t.same(await failed(input), ['provenance-bundle']) })
}

const others: Array<[name: string, check: string, input: unknown, options?: object]> = [
  ['another digest', 'provenance-subject', bundle(), { running: { digest: 'cd'.repeat(32) } }],
  [
    'a root that is not the checkpoint\'s', 'provenance-log',
    bundle({ entries: [{ ...entry, inclusionProof: { ...entry.inclusionProof, rootHash: 'AAAA' } }] })
  ],
  [
    'a size that is not the checkpoint\'s', 'provenance-log',
    bundle({ entries: [{ ...entry, inclusionProof: { ...entry.inclusionProof, treeSize: '8' } }] })
  ],
  ['no entry', 'provenance-log', bundle({ entries: [] })],
  [
    'more entries than are accepted', 'provenance-log', bundle({ entries: [entry, entry] }),
    { policy: { repository: 'owner/name', maximumLogEntries: 1 } }
  ],
  [
    'a time before the oldest that is accepted', 'provenance-time', bundle(),
    { policy: { repository: 'owner/name', notBefore: '2026-06-01T00:00:00Z' } }
  ],
  [
    'no time where one is demanded', 'provenance-time', bundle({ entries: [{ ...entry, integratedTime: '0' }] }),
    { policy: { repository: 'owner/name', notBefore: '2020-01-01T00:00:00Z' } }
  ],
  ['a time in the future', 'provenance-time', bundle(), { now: new Date('2026-01-01') }],
  ['a predicate that lacks its measurements', 'provenance-measurements', bundle(
    { payload: base64({ ...statement, predicateType: 'https://tinfoil.sh/predicate/snp-tdx-multiplatform/v1' }) }
  )],
  [
    'another type of predicate', 'provenance-predicate', bundle(),
    { policy: { repository: 'owner/name', predicateTypes: ['https://example.com'] } }
  ]
]
for (const [name, check, input, options] of others) {
  t.test(`${name} fails ${check}`, async t => { t.ok((await failed(input, options)).includes(check)) })
}

t.test('a verifier can be brought along, and one that is absent is a failed check', async t => {
  const checks = await failed(bundle(), { verifier: { verify () {} } })
  t.notOk(checks.includes('provenance-signature'))
  t.ok(
    (await failed(bundle(), { verifier: { verify () { throw new TypeError('no') } } })).includes('provenance-signature')
  )
})

t.test('whatever the text, the parser gives a bundle or an error of its own', async t => {
  const text = JSON.stringify(bundle())
  const own = (input: unknown) => {
    try {
      parseBundle(input)
    } catch (error) {
      if (!(error instanceof BundleError)) throw error
    }
  }
  for (let length = 0; length < text.length; length += 3) own(text.slice(0, length))
  fc.assert(fc.property(
    fc.nat(text.length - 1), fc.string({ maxLength: 3 }),
    (at, other) => own(text.slice(0, at) + other + text.slice(at + 1))
  ))
  fc.assert(fc.property(fc.jsonValue(), own))
})

t.test('a certificate without names of Fulcio\'s is nobody\'s', async t => {
  t.same(
    workflowIdentity(Uint8Array.from(certificate('nobody').der)),
    { issuer: undefined, repositories: [], refs: [], workflow: undefined }
  )
})
