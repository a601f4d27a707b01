// TDX quotes: the comparison of what a quote says, with the library stood in for, and the library itself refusing.
import t from 'tap'
import { attestationDocument, bindingDigest, reportData } from '../../../lib/protocols/attestation.ts'
import type { AttestedKey, TypedValue } from '../../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'
import { verifyAttestation } from '../../../sdk/attestation/index.ts'
import type { TdxPolicy, TdxVerifier, VerifyOptions } from '../../../sdk/attestation/index.ts'
import { createAuthority } from '../../fixtures/certificates.ts'
import { failed, outcomeOf } from '../../fixtures/verdict.ts'

const nonce = new Uint8Array(32).fill(9)
const keys = [{ kind: 'tls-spki' as const, value: Uint8Array.of(1, 2, 3) }]
const binding = await bindingDigest(nonce, keys)
const now = new Date('2026-06-01T00:00:00Z')
const hex = (octet: number) => octet.toString(16).padStart(2, '0').repeat(48)

const pins: TdxPolicy = {
  measurements: [
    { mrtd: hex(0), rtmr1: hex(2) },
    { mrtd: hex(0xa0), rtmr0: hex(0xb0), rtmr1: hex(0xb1), rtmr2: hex(0xb2), rtmr3: hex(0xb3) }
  ]
}

function quote (): Uint8Array<ArrayBuffer> {
  const quote = new Uint8Array(1000)
  quote.set([4, 0, 2, 0, 0x81])
  quote.fill(0xa0, 184, 232)
  ;[0xb0, 0xb1, 0xb2, 0xb3].forEach((octet, i) => quote.fill(octet, 376 + 48 * i, 424 + 48 * i))
  quote.set(reportData(binding), 568)
  return quote
}

/** Who certifies quotes: only their form counts here. */
const root = createAuthority()
const leaf = root.issue(['platform'])

interface Scene {
  keys?: AttestedKey[]
  /** PEM, put after the quote. */
  chain?: string[]
  patch?: (quote: Uint8Array) => void
  evidence?: TypedValue[]
  endorsements?: TypedValue[]
  policy?: TdxPolicy
  status?: unknown
  verifier?: Partial<TdxVerifier>
  options?: VerifyOptions
}

async function appraise (scene: Scene = {}) {
  const octets = Uint8Array.from([...quote(), ...Buffer.from((scene.chain ?? [leaf.certPem, root.certPem]).join(''))])
  scene.patch?.(octets)
  const document = await attestationDocument({
    tee: 'tdx',
    nonce,
    cached: false,
    keys: scene.keys ?? keys,
    evidence: scene.evidence ?? [['application/vnd.polaris.tdx-quote', encodeBase64url(octets)]],
    endorsements: scene.endorsements ?? [],
    issuedAt: now
  })
  const asked: unknown[][] = []
  const tdxVerifier: TdxVerifier = {
    verify: (...given) => { asked.push(given); return { status: scene.status ?? 'UpToDate' } },
    getCollateralFromPcs: async () => 'collateral of Intel',
    ...scene.verifier
  }
  const verdict = await verifyAttestation(JSON.stringify(document), { version: 1, platforms: { tdx: scene.policy ?? pins } }, { nonce, now, tdxVerifier, ...scene.options })
  return { verdict, asked }
}

t.test('a quote that fits is verified at the given time, with collateral from Intel', async t => {
  const { verdict, asked } = await appraise()
  t.same(failed(verdict), [])
  t.ok(verdict.verified)
  t.same(asked.map(([, ...given]) => given), [['collateral of Intel', now.getTime() / 1000]])
  t.same(verdict.presented, { tdx: { measurements: [pins.measurements?.[1]] } })
})

t.test('collateral that comes with the document is passed over: its revocation lists could be anybody\'s', async t => {
  const { asked } = await appraise({ endorsements: [['application/vnd.polaris.tdx-collateral+json', '{"root_ca_crl":"","pck_crl":""}']] })
  t.equal(asked[0]?.[1], 'collateral of Intel')
})

const cases: Array<[name: string, check: string, scene: Scene]> = [
  ['a swapped key', 'bound', { keys: [{ kind: 'tls-spki', value: Uint8Array.of(9) }] }],
  ['a quote about other keys', 'bound', { patch: quote => quote.fill(0, 568, 600) }],
  ['report data with something after the binding', 'bound', { patch: quote => { quote[631] = 1 } }],
  ['debugging on', 'debug', { patch: quote => { quote[168] = 1 } }],
  ['another reserved bit that makes the domain untrusted', 'debug', { patch: quote => { quote[168] = 0x80 } }],
  ['other firmware', 'measurement', { patch: quote => { quote[184] = 0 } }],
  ['another kernel', 'measurement', { patch: quote => { quote[424] = 0 } }],
  ['a mix of two accepted states', 'measurement', { patch: quote => { quote.fill(0, 184, 232) } }],
  ['firmware that is out of date', 'tcb', { status: 'OutOfDate' }],
  ['firmware that is out of date, in the library\'s own type', 'tcb', { status: { status: 'OutOfDate' } }],
  ['a signature that does not hold', 'quote', { verifier: { verify: () => { throw new Error('signature') } } }],
  ['collateral that cannot be had', 'quote', { verifier: { getCollateralFromPcs: async () => { throw new Error('network') } } }],
  ['a certificate below the one that signs quotes', 'quote', { chain: [root.intermediate('below', false).certPem, leaf.certPem, root.certPem] }],
  ['an issuer that cannot be read', 'quote', { chain: [leaf.certPem, root.certPem.replace(/\n[^]{9}/, '\n!')] }],
  ['a module that Intel did not sign', 'module', { patch: quote => { quote[112] = 1 } }],
  ['a module that can be debugged', 'module', { patch: quote => { quote[160] = 1 } }],
  ['another nonce', 'nonce', { options: { nonce: new Uint8Array(32) } }],
  ['a quote of version 5', 'evidence', { patch: quote => { quote[0] = 5 } }],
  ['a quote of SGX', 'evidence', { patch: quote => { quote[4] = 0 } }],
  ['a short quote', 'evidence', { evidence: [['application/vnd.polaris.tdx-quote', encodeBase64url(quote().subarray(0, 631))]] }],
  ['two quotes', 'evidence', { evidence: [['application/vnd.polaris.tdx-quote', 'AAAA'], ['application/vnd.polaris.tdx-quote', 'AAAA']] }],
  ['no quote', 'evidence', { evidence: [] }]
]
for (const [name, check, scene] of cases) {
  t.test(`${name}: ${check} fails alone`, async t => {
    const { verdict } = await appraise(scene)
    t.same(failed(verdict), [check])
    t.notOk(verdict.verified)
  })
}

t.test('a policy may accept other states of firmware', async t => {
  t.ok((await appraise({ status: 'SWHardeningNeeded', policy: { ...pins, tcbStatuses: ['UpToDate', 'SWHardeningNeeded'] } })).verdict.verified)
})

t.test('the library itself refuses a quote that nobody signed', async t => {
  const document = await attestationDocument({
    tee: 'tdx', nonce, cached: false, keys, evidence: [['application/vnd.polaris.tdx-quote', encodeBase64url(quote())]], endorsements: [], issuedAt: now
  })
  const verdict = await verifyAttestation(JSON.stringify(document), { version: 1, platforms: { tdx: pins } }, { nonce, now })
  t.same(failed(verdict), ['quote'])
  t.notMatch(verdict.checks.find(({ name }) => name === 'quote')?.detail, /not installed/)
  t.equal(outcomeOf(verdict, 'tcb'), 'skipped')
})
