// Appraisal of raw SEV-SNP reports over synthetic chains with AMD's layout: for each check a document in which only
// that check fails.
import type { webcrypto } from 'node:crypto'
import t from 'tap'
import { attestationDocument, bindingDigest, reportData } from '../../../lib/protocols/attestation.ts'
import type { AttestedKey, TypedValue } from '../../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'
import { verifyAttestation } from '../../../sdk/attestation/index.ts'
import type { AttestationPolicy, SnpPolicy, SnpProduct, VerifyOptions } from '../../../sdk/attestation/index.ts'
import { CHIP_ID, leafCertificate, certificate, snpChain, snpReport } from '../../fixtures/snp.ts'
import type { LeafShape, ReportShape } from '../../fixtures/snp.ts'
import { failed, outcomeOf } from '../../fixtures/verdict.ts'

const chain = await snpChain()
const other = await snpChain()
const now = new Date('2026-06-01T00:00:00Z')
const nonce = new Uint8Array(32).fill(9)
const keys = [{ kind: 'polaris-v1-spki' as const, value: Uint8Array.of(1, 2, 3) }]
const binding = await bindingDigest(nonce, keys)

const pins: SnpPolicy = {
  measurements: ['00'.repeat(48), 'aa'.repeat(48)],
  hostData: ['bb'.repeat(32)],
  minimumTcb: { bootloader: 3, tee: 1, snp: 8, microcode: 210 },
  minimumGuestSvn: 5,
  products: ['Milan']
}

/** Of the group of P-384, little-endian as in a report. */
const ORDER = Buffer.from(
  'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973', 'hex'
).reverse()

interface Scene {
  keys?: AttestedKey[]
  report?: Partial<ReportShape>
  reportOctets?: (report: Uint8Array<ArrayBuffer>) => void
  leaf?: LeafShape
  certificates?: (chain: [Uint8Array, Uint8Array, Uint8Array]) => Uint8Array[] | Promise<Uint8Array[]>
  signer?: webcrypto.CryptoKey
  evidence?: TypedValue[]
  policy?: SnpPolicy
  product?: SnpProduct
  options?: VerifyOptions
}

async function verdictOf (scene: Scene) {
  const report = await snpReport(
    scene.signer ?? chain.leafKeys.privateKey, { reportData: reportData(binding), ...scene.report }
  )
  scene.reportOctets?.(report)
  const leaf = await leafCertificate(chain, scene.leaf)
  const certificates = await scene.certificates?.([leaf, chain.ask.certificate, chain.ark.certificate]) ?? [
    leaf, chain.ask.certificate, chain.ark.certificate
  ]
  const document = await attestationDocument({
    tee: 'sev-snp',
    nonce,
    cached: false,
    keys: scene.keys ?? keys,
    evidence: scene.evidence ?? [['application/vnd.polaris.sev-snp-report', encodeBase64url(report)]],
    endorsements: certificates.map(der => ['application/pkix-cert', encodeBase64url(der)] as const),
    issuedAt: now
  })
  const policy: AttestationPolicy = { version: 1, platforms: { 'sev-snp': { ...pins, ...scene.policy } } }
  return verifyAttestation(
    JSON.stringify(document), policy,
    { nonce, now, amdRoots: { [chain.rootHash]: scene.product ?? 'Milan' }, ...scene.options }
  )
}

t.test('a report that fits the policy is verified, every check with a detail', async t => {
  const verdict = await verdictOf({})
  t.same(failed(verdict), [])
  t.ok(verdict.verified)
  t.equal(verdict.tee, 'sev-snp')
  t.same(verdict.keys, keys)
  t.ok(verdict.checks.every(({ detail }) => detail !== ''))
  t.same(verdict.checks.filter(({ outcome }) => outcome === 'skipped').map(({ name }) => name),
    ['weakenings', 'revocation', 'id-key', 'author-key', 'family', 'image', 'chip', 'platform-info'],
    'what no pin was given for is said')
})

t.test('the policy made of what was presented accepts it again, and nothing else', async t => {
  const { presented } = await verdictOf({})
  t.same(presented['sev-snp']?.minimumTcb, { bootloader: 3, tee: 1, snp: 8, microcode: 210 })
  t.ok((await verdictOf({ policy: presented['sev-snp']! })).verified)
  t.same(
    failed(await verdictOf({ policy: presented['sev-snp']!, report: { patches: [[0x90, [0]]] } })), ['measurement']
  )
})

/** A report that the provider's key signed, from a host that masks its chip. */
const provided: Scene = {
  leaf: { subject: 'SEV-VLEK', chipId: undefined }, report: { patches: [[0x48, [1 << 2]], [0x1a0, new Uint8Array(64)]] }
}

t.test('a provider\'s key (VLEK) verifies too', async t => {
  t.same(failed(await verdictOf(provided)), [])
})

t.test('where the host gives certificates of both kinds of key, the one that the report names counts', async t => {
  const vcek = await leafCertificate(chain, { publicKey: other.leafKeys.publicKey })
  const vlek = await leafCertificate(
    chain, { publicKey: other.leafKeys.publicKey, subject: 'SEV-VLEK', chipId: undefined }
  )
  t.same(failed(await verdictOf({ ...provided, certificates: rest => [vcek, ...rest] })), [])
  t.same(failed(await verdictOf({ certificates: rest => [vlek, ...rest] })), [])
})

t.test('Turin has its own TCB layout and a chip id of 8 octets', async t => {
  const chipId = CHIP_ID.slice(0, 8)
  const turin: Scene = {
    product: 'Turin',
    policy: { products: ['Turin'], minimumTcb: { fmc: 1, bootloader: 2, tee: 3, snp: 4, microcode: 5 } },
    leaf: { tcb: { 9: 1, 1: 2, 2: 3, 3: 4, 8: 5 }, chipId },
    report: {
      patches: [
        [0x180, [1, 2, 3, 4, 0, 0, 0, 5]], [0x1f0, [1, 2, 3, 4, 0, 0, 0, 5]],
        [0x1a0, [...chipId, ...new Uint8Array(56)]]
      ]
    }
  }
  t.same(failed(await verdictOf(turin)), [])
  t.same(
    failed(await verdictOf({ ...turin, product: 'Milan', policy: { products: ['Milan'] } })),
    ['certificate-matches-report']
  )
})

const cases: Array<[name: string, check: string, scene: Scene]> = [
  ['another nonce', 'nonce', { options: { nonce: new Uint8Array(32) } }],
  ['a swapped key', 'bound', { keys: [{ kind: 'polaris-v1-spki', value: Uint8Array.of(9) }] }],
  ['a report about other keys', 'bound', { report: { reportData: reportData(new Uint8Array(32)) } }],
  [
    'report data with something after the binding', 'bound',
    { report: { reportData: Uint8Array.from([...binding, ...new Uint8Array(31), 1]) } }
  ],
  ['another image', 'measurement', { report: { patches: [[0xbf, [0]]] } }],
  ['other host data', 'host-data', { report: { patches: [[0xc0, [0]]] } }],
  ['debugging allowed', 'debug', { report: { patches: [[0x0a, [3 | 8]]] } }],
  ['a migration agent allowed', 'migration', { report: { patches: [[0x0a, [3 | 4]]] } }],
  ['a less privileged level', 'vmpl', { report: { patches: [[0x30, [1]]] } }],
  [
    'a report that the host asked for', 'vmpl',
    { policy: { maximumVmpl: 3 }, report: { patches: [[0x30, [0xff, 0xff, 0xff, 0xff]]] } }
  ],
  ['an old guest', 'guest-svn', { report: { patches: [[0x04, [4]]] } }],
  ...Object.entries({ bootloader: 4, tee: 2, snp: 9, microcode: 211 }).map(([part, least]): [string, string, Scene] =>
    [
      `firmware that is old in ${part} alone`, 'tcb',
      { policy: { minimumTcb: { bootloader: 0, tee: 0, snp: 0, microcode: 0, [part]: least } } }
    ]),
  [
    'firmware that was old when the guest was launched', 'tcb',
    { report: { patches: [[0x1f0, [3, 1, 0, 0, 0, 0, 8, 209]]] } }
  ],
  ['a TCB part that the product does not have', 'tcb', { policy: { minimumTcb: { fmc: 1 } } }],
  ['another product', 'product', { product: 'Genoa' }],
  ['another signature algorithm', 'report', { report: { patches: [[0x34, [2]]] } }],
  ['another signer', 'report-signature', { signer: other.leafKeys.privateKey }],
  ['R of zero', 'report-signature', { reportOctets: report => report.fill(0, 0x2a0, 0x2a0 + 48) }],
  ['S beyond the group order', 'report-signature', { reportOctets: report => report.fill(0xff, 0x2e8, 0x2e8 + 48) }],
  ['R beyond the group order', 'report-signature', { reportOctets: report => report.fill(0xff, 0x2a0, 0x2a0 + 48) }],
  ['R of the group order', 'report-signature', { reportOctets: report => report.set(ORDER, 0x2a0) }],
  ['S of zero', 'report-signature', { reportOctets: report => report.fill(0, 0x2e8, 0x2e8 + 48) }],
  ['S of the group order', 'report-signature', { reportOctets: report => report.set(ORDER, 0x2e8) }],
  ['S that overflows into its slot', 'report-signature', { reportOctets: report => { report[0x2e8 + 48] = 1 } }],
  ['a flipped bit in what nothing else reads', 'report-signature', { reportOctets: report => { report[0x2f]! ^= 1 } }],
  ['R that overflows into its slot', 'report-signature', { reportOctets: report => { report[0x2a0 + 48] = 1 } }],
  ['octets after S', 'report-signature', { reportOctets: report => { report[1183] = 1 } }],
  ['a chain to another root', 'root', { options: { amdRoots: { [other.rootHash]: 'Milan' } } }],
  ['a chain to AMD\'s real roots expected', 'root', { options: { amdRoots: undefined as never } }],
  ['an expired certificate', 'certificate-validity', { leaf: { notAfter: new Date('2026-05-31T00:00:00Z') } }],
  ['a certificate from the future', 'certificate-validity', { leaf: { notBefore: new Date('2026-06-02T00:00:00Z') } }],
  ['a leaf that another signing key signed', 'certificate-chain', { leaf: { signer: other.ask.keys.privateKey } }],
  [
    'an intermediate that another root signed', 'certificate-chain',
    { certificates: async ([leaf, , ark]) => [leaf, await intermediate(other.ark.keys.privateKey, true), ark] }
  ],
  ['a certificate of another chip', 'certificate-matches-report', { leaf: { chipId: new Uint8Array(64).fill(1) } }],
  [
    'a masked chip id', 'certificate-matches-report',
    { leaf: { chipId: new Uint8Array(64) }, report: { patches: [[0x1a0, new Uint8Array(64)]] } }
  ],
  ['a certificate without chip id', 'certificate-matches-report', { leaf: { chipId: undefined } }],
  ['a certificate of older microcode', 'certificate-matches-report', { leaf: { tcb: { 1: 3, 2: 1, 3: 8, 8: 209 } } }],
  ['a certificate without a TCB part', 'certificate-matches-report', { leaf: { tcb: { 1: 3, 2: 1, 8: 210 } } }],
  ['a provider\'s certificate for a chip\'s report', 'certificate-matches-report', { leaf: { subject: 'SEV-VLEK' } }],
  ['an unknown signing key', 'certificate-matches-report', { report: { patches: [[0x48, [7 << 2]]] } }],
  ['no certificates', 'certificate-chain', { certificates: () => [] }],
  ['no intermediate', 'certificate-chain', { certificates: ([leaf, , ark]) => [leaf, ark] }],
  ['no root', 'certificate-chain', { certificates: ([leaf, ask]) => [leaf, ask] }],
  ['a truncated certificate', 'report', { certificates: ([leaf]) => [leaf.subarray(0, 100)] }],
  ['a report of version 1', 'report', { report: { patches: [[0x00, [1]]] } }],
  ['a report of version 6', 'report', { report: { patches: [[0x00, [6]]] } }],
  [
    'a short report', 'report',
    { evidence: [['application/vnd.polaris.sev-snp-report', encodeBase64url(new Uint8Array(1183))]] }
  ],
  ['no report', 'report', { evidence: [] }],
  [
    'two reports', 'report',
    { evidence: [['application/vnd.polaris.sev-snp-report', ''], ['application/vnd.polaris.sev-snp-report', '']] }
  ],
  ['a report that is not base64url', 'report', { evidence: [['application/vnd.polaris.sev-snp-report', '=']] }]
]
for (const [name, check, scene] of cases) {
  t.test(`${name}: ${check} fails alone`, async t => {
    const verdict = await verdictOf(scene)
    t.same(failed(verdict), [check])
    t.notOk(verdict.verified)
  })
}

async function intermediate (signer: webcrypto.CryptoKey, authority: boolean) {
  return certificate(
    { subject: chain.ask.name, issuerName: chain.ark.name, publicKey: chain.ask.keys.publicKey, signer, authority }
  )
}

t.test('an intermediate that may not sign certificates makes no chain', async t => {
  const verdict = await verdictOf(
    { certificates: async ([leaf, , ark]) => [ark, leaf, await intermediate(chain.ark.keys.privateKey, false)] }
  )
  t.same(failed(verdict), ['certificate-chain'])
})

t.test('the order of the certificates does not matter', async t => {
  t.ok((await verdictOf({ certificates: ([leaf, ask, ark]) => [ark, leaf, ask] })).verified)
})

t.test('a policy may allow what is refused otherwise', async t => {
  t.ok((await verdictOf({ policy: { allowDebug: true }, report: { patches: [[0x0a, [3 | 8]]] } })).verified)
  t.ok((await verdictOf({ policy: { allowMigration: true }, report: { patches: [[0x0a, [3 | 4]]] } })).verified)
  t.ok((await verdictOf({ policy: { maximumVmpl: 1 }, report: { patches: [[0x30, [1]]] } })).verified)
})

t.test('each flipped bit of a report fails', async t => {
  for (let at = 0; at < 1184; at += 7) {
    const verdict = await verdictOf({ reportOctets: report => { report[at]! ^= 1 << at % 8 } })
    if (verdict.verified) t.fail(`octet ${at}`)
  }
})

t.test('without a nonce a report has no age, whatever the policy says', async t => {
  const verdict = await verdictOf({ options: { nonce: undefined as never } })
  t.same(failed(verdict), ['nonce', 'freshness'])
  t.equal(outcomeOf(verdict, 'bound'), 'passed')
})
