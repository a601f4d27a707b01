// TDX quotes over a chain of our own that is signed throughout: for each check a quote or collateral in which only that
// check fails, and Intel's rule about TDX modules in both directions.
import fc from 'fast-check'
import t from 'tap'
import { attestationDocument, bindingDigest, reportData } from '../../../lib/protocols/attestation.ts'
import type { AttestedKey, TypedValue } from '../../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'
import { verifyAttestation } from '../../../sdk/attestation/index.ts'
import type { TdxCollateral, TdxPolicy, VerifyOptions } from '../../../sdk/attestation/index.ts'
import { extension, sequence } from '../../fixtures/certificates.ts'
import {
  NOW, PLATFORM, chainOf, collateral, level, makeIntel, moduleIdentity, pem, qeIdentity, quote, tcbInfo
} from '../../fixtures/intel.ts'
import type { CollateralShape, QuoteShape } from '../../fixtures/intel.ts'
import { failed, outcomeOf } from '../../fixtures/verdict.ts'

const MEDIA_TYPE = 'application/vnd.polaris.tdx-quote'
const intel = makeIntel()
const stranger = makeIntel()
const platform = intel.platform()
const nonce = new Uint8Array(32).fill(9)
const keys = [{ kind: 'tls-spki' as const, value: Uint8Array.of(1, 2, 3) }]
const bound = reportData(await bindingDigest(nonce, keys))
const hex = (octet: number, length = 48) => octet.toString(16).padStart(2, '0').repeat(length)
const measurement = { mrtd: hex(0xa0), rtmr0: hex(0xb0), rtmr1: hex(0xb1), rtmr2: hex(0xb2), rtmr3: hex(0xb3) }
const pins: TdxPolicy = { measurements: [{ mrtd: hex(0), rtmr1: hex(1), rtmr2: hex(2) }, measurement] }

interface Scene {
  keys?: AttestedKey[]
  quote?: QuoteShape
  /** After everything was signed. */
  patch?: (quote: Buffer) => Uint8Array
  evidence?: TypedValue[]
  collateral?: CollateralShape
  /** After everything was signed. */
  collateralPatch?: Partial<Record<keyof TdxCollateral, unknown>>
  policy?: TdxPolicy
  insecure?: boolean
  options?: VerifyOptions
}

async function appraise (scene: Scene = {}) {
  const made = quote(intel, { platform, reportData: bound, ...scene.quote })
  const document = await attestationDocument({
    tee: 'tdx',
    nonce,
    cached: false,
    keys: scene.keys ?? keys,
    evidence: scene.evidence ?? [[MEDIA_TYPE, encodeBase64url(Uint8Array.from(scene.patch?.(made) ?? made))]],
    endorsements: [],
    issuedAt: NOW
  })
  const given = { ...collateral(intel, scene.collateral), ...scene.collateralPatch } as TdxCollateral
  return verifyAttestation(JSON.stringify(document), {
    version: 1, insecure: scene.insecure ?? false, platforms: { tdx: { ...pins, ...scene.policy } }
  }, {
    nonce, now: NOW, platforms: { tdx: { roots: [intel.rootHash], collateral: given } }, ...scene.options
  })
}

t.test('a quote that fits is verified, every check with a detail', async t => {
  const verdict = await appraise()
  t.same(failed(verdict), [])
  t.ok(verdict.verified)
  t.ok(verdict.checks.every(({ detail }) => detail !== ''))
  t.same(verdict.presented.tdx?.measurements, [measurement])
  t.ok((await appraise({ policy: verdict.presented.tdx! })).verified, 'and by the policy made of what it presented')
})

const MODULES: Array<[svn: number[], says: string, status: string | undefined, info?: ReturnType<typeof tcbInfo>]> = [
  [[6, 1, 8], 'TDX_01 wants 6', 'UpToDate'],
  [[5, 1, 8], 'TDX_01 has 4 as out of date', 'OutOfDate'],
  [
    [6, 1, 8], 'TDX_01 wants 11', undefined,
    tcbInfo({ tdxModuleIdentities: [moduleIdentity('TDX_01', [11, 'UpToDate'])] })
  ],
  [
    [6, 1, 8], 'TDX_01 wants 11, and 6 is out of date', 'OutOfDate',
    tcbInfo({ tdxModuleIdentities: [moduleIdentity('TDX_01', [11, 'UpToDate'], [6, 'OutOfDate'])] })
  ],
  [[10, 2, 8], 'no TDX_02', undefined],
  [[3, 3, 8], 'TDX_03 wants 3, although the levels have 5 as first component', 'UpToDate'],
  [[2, 3, 8], 'TDX_03 wants 3', undefined],
  [[5, 0, 8], 'module 1.0: by all components', 'UpToDate'],
  [[4, 0, 8], 'module 1.0: by all components, too low in the first', 'OutOfDate'],
  [[2, 0, 8], 'module 1.0: by all components, below the last level', undefined],
  [[3, 1, 8], 'TDX_01 has 2 as revoked', 'Revoked'],
  [[1, 1, 8], 'TDX_01 has nothing for 1', undefined],
  [[6, 1, 5], 'the platform is out of date, the module is not', 'OutOfDate'],
  [[6, 1, 4], 'no level for the platform', undefined],
  [[6, 1, 8], 'no identities at all', undefined, tcbInfo({ tdxModuleIdentities: undefined })],
  [[6, 1, 8], 'TDX_01 twice', undefined, tcbInfo(
    { tdxModuleIdentities: [moduleIdentity('TDX_01', [6, 'UpToDate']), moduleIdentity('TDX_01', [6, 'UpToDate'])] }
  )],
  [
    [6, 1, 8], 'TDX_01 by another signer', undefined,
    tcbInfo({ tdxModuleIdentities: [{ ...moduleIdentity('TDX_01', [6, 'UpToDate']), mrsigner: hex(1) }] })
  ],
  [
    [6, 1, 8], 'TDX_01 with other attributes', undefined,
    tcbInfo({ tdxModuleIdentities: [{ ...moduleIdentity('TDX_01', [6, 'UpToDate']), attributes: hex(1, 8) }] })
  ],
  [[5, 0, 8], 'no module 1.0', undefined, tcbInfo({ tdxModule: undefined })],
  [[6, 1, 8], 'a platform that needs configuration, and a module out of date', 'OutOfDateConfigurationNeeded',
    tcbInfo(
      { tcbLevels: [level('ConfigurationNeeded')], tdxModuleIdentities: [moduleIdentity('TDX_01', [6, 'OutOfDate'])] }
    )]
]
const ALL = [
  'UpToDate', 'SWHardeningNeeded', 'ConfigurationNeeded', 'ConfigurationAndSWHardeningNeeded', 'OutOfDate',
  'OutOfDateConfigurationNeeded'
] as const
for (const [svn, says, status, info] of MODULES) {
  t.test(`TEE_TCB_SVN ${svn.join(' ')}, ${says}: ${status ?? 'refused'}`, async t => {
    const scene: Scene = { quote: { svn }, ...info && { collateral: { tcbInfo: info } } }
    t.equal((await appraise(scene)).verified, status === 'UpToDate')
    // Accepted by a policy that names its status, and by no policy without it.
    for (const accepted of ALL) {
      t.same(
        failed(await appraise({ ...scene, policy: { tcbStatuses: [accepted] } })), accepted === status ? [] : ['tcb']
      )
    }
    if (status === undefined || status === 'Revoked') {
      t.same(failed(await appraise({ ...scene, policy: { tcbStatuses: ALL } })), ['tcb'])
    }
  })
}

const day = (text: string) => new Date(`${text}T00:00:00Z`)
const revokedPlatform: CollateralShape = { platformList: { revoked: [5, 77] } }
/** Certified by a platform's key, which must certify nobody. */
const below = intel.party('Intel SGX PCK Certificate', platform)
const leafSigner = { ...platform }
const critical = extension('551d1c', true, sequence())

/** A genuine list, of the authority that did not certify the platform. */
const other = collateral(
  { ...intel, authority: intel.party('Intel SGX PCK Processor CA', intel.root, { authority: true }) }
)
const listOfOther = { pck_crl: other.pck_crl, pck_crl_issuer_chain: other.pck_crl_issuer_chain }

const cases: Array<[name: string, check: string, scene: Scene]> = [
  ['a swapped key', 'bound', { keys: [{ kind: 'tls-spki', value: Uint8Array.of(9) }] }],
  [
    'report data with something after the binding', 'bound',
    { quote: { reportData: Uint8Array.from([...bound.subarray(0, 63), 1]) } }
  ],
  ['another nonce', 'nonce', { options: { nonce: new Uint8Array(32) } }],
  ['debugging on', 'debug', { quote: { body: [[120, [1]]] } }],
  ['another bit that makes the domain untrusted', 'debug', { quote: { body: [[120, [0x80]]] } }],
  ['exceptions that the host causes', 'sept-ve', { quote: { body: [[123, [0]]] } }],
  ['a reserved attribute', 'attributes', { quote: { body: [[121, [1]]] } }],
  ['another reserved attribute', 'attributes', { quote: { body: [[124, [1]]] } }],
  ['attributes that are not pinned', 'attributes', { policy: { attributes: ['0000004000000000'] } }],
  ['XFAM without SSE', 'xfam', { quote: { body: [[128, [0xe5]]] } }],
  ['XFAM without x87', 'xfam', { quote: { body: [[128, [0xe6]]] } }],
  ['XFAM with a reserved bit', 'xfam', { quote: { body: [[128, [0xef]]] } }],
  ['XFAM that is not pinned', 'xfam', { policy: { xfam: ['e700060000000000'] } }],
  ['other firmware', 'measurement', { quote: { body: [[136, [0]]] } }],
  ['another kernel', 'measurement', { quote: { body: [[376, [0]]] } }],
  ['a mix of two accepted states', 'measurement', { quote: { body: [[136, Buffer.alloc(48)]] } }],
  ['another configuration', 'mrconfigid', { policy: { mrconfigid: [hex(1)] } }],
  ['another owner', 'mrowner', { policy: { mrowner: [hex(1)] } }],
  ['another configuration of the owner', 'mrownerconfig', { policy: { mrownerconfig: [hex(1)] } }],
  ['another module', 'mrseam', { policy: { mrseam: [hex(1)] } }],
  ['a module by a signer that is not pinned', 'module', { policy: { mrsignerseam: [hex(1)] } }],
  ['a module with attributes that are not pinned', 'module', { policy: { seamAttributes: [hex(1, 8)] } }],
  ['another maker of the quoting enclave', 'quoting-enclave-vendor', { quote: { header: [[12, [0]]] } }],
  ['a maker that is not pinned', 'quoting-enclave-vendor', { policy: { qeVendorIds: [hex(1, 16)] } }],
  ['another platform model', 'platform-model', { policy: { fmspcs: ['000000000000'] } }],
  ['a module version below the least', 'tee-tcb-svn', { policy: { minimumTeeTcbSvn: `0001080100${'00'.repeat(11)}` } }],
  ['an older evaluation of TCB info', 'collateral-number', { policy: { minimumTcbEvaluationDataNumber: 20 } }],
  ['an older evaluation of the enclave', 'collateral-number', {
    policy: { minimumTcbEvaluationDataNumber: 19 },
    collateral: { qeIdentity: qeIdentity({ tcbEvaluationDataNumber: 18 }) }
  }],
  ['a bound service TD', 'service-td', { quote: { version: 5, extended: true, body: [[600, [1]]] } }],
  [
    'a module that was outdated at launch', 'tcb',
    { quote: { version: 5, extended: true, svn: [5, 1, 8], body: [[584, [6, 1, 8]]] } }
  ],
  ['a module that is outdated now', 'tcb', { quote: { version: 5, extended: true, body: [[584, [5, 1, 8]]] } }],

  [
    'a root of somebody else\'s', 'root',
    { options: { platforms: { tdx: { roots: [stranger.rootHash], collateral: collateral(intel) } } } }
  ],
  ['Intel\'s own root expected', 'root', { options: { platforms: { tdx: { collateral: collateral(intel) } } } }],
  ['a platform that a stranger certified', 'certificate-chain', { quote: { platform: stranger.platform() } }],
  ['a certificate below the one that signs quotes', 'certificate-chain', {
    quote: {
      chain: pem(below.certificate, platform.certificate, intel.authority.certificate, intel.root.certificate),
      platform: below
    }
  }],
  [
    'a platform as authority for another', 'certificate-chain',
    { quote: { chain: pem(below.certificate, platform.certificate, intel.root.certificate), platform: below } }
  ],
  [
    'a chain without root', 'certificate-chain',
    { quote: { chain: pem(platform.certificate, intel.authority.certificate) } }
  ],
  ['a chain that PEM readers could understand in two ways', 'certificate-chain',
    {
      quote: {
        platform: below,
        chain: pem(below.certificate).replace(
          '-----END', '-----END CERTIFICATE-----BEGIN CERTIFICATE-----\n-----END'
        ) + chainOf(intel, platform)
      }
    }],
  ['the certificate that the audit hid', 'certificate-chain',
    {
      quote: {
        platform: below,
        chain: `${pem(below.certificate)}-----BEGIN CERTIFICATE----- ${pem(
      intel.authority.certificate
    ).slice(28, -27).replaceAll('\n', '')}-----END CERTIFICATE-----${chainOf(intel, platform)}`
      }
    }],
  [
    'carriage returns in PEM', 'certificate-chain',
    { quote: { chain: chainOf(intel, platform).replaceAll('\n', '\r\n') } }
  ],
  ['text before PEM', 'certificate-chain', { quote: { chain: ` ${chainOf(intel, platform)}` } }],
  [
    'a signer of TCB info as authority', 'certificate-chain',
    { quote: { chain: pem(platform.certificate, intel.signer.certificate, intel.root.certificate) } }
  ],
  ['a certificate that is none of a platform', 'certificate-chain', {
    quote: {
      chain: pem(
        intel.party('Intel SGX PCK Certificate', intel.authority).certificate, intel.authority.certificate,
        intel.root.certificate
      )
    }
  }],
  [
    'a platform\'s certificate that has expired', 'certificate-validity',
    { quote: { platform: intel.platform(PLATFORM, { notAfter: day('2026-06-01') }) } }
  ],
  [
    'an enclave\'s report that the platform did not sign', 'quote',
    { quote: { enclaveSigner: stranger.root.privateKey } }
  ],
  ['a quote that the attestation key did not sign', 'quote', { quote: { quoteSigner: platform.privateKey } }],
  ['an attestation key that the enclave does not name', 'quote', { quote: { enclave: [[320, [0]]] } }],
  ['an enclave\'s report with something behind the key', 'quote', { quote: { enclave: [[352, [1]]] } }],

  ['a revoked platform', 'revocation', { collateral: revokedPlatform }],
  ['a revoked authority', 'revocation', { collateral: { rootList: { revoked: [2] } } }],
  ['a revoked signer of TCB info', 'collateral', { collateral: { rootList: { revoked: [3] } } }],
  ['a root list that is stale', 'collateral', { collateral: { rootList: { nextUpdate: day('2026-06-10') } } }],
  ['a platform list that is stale', 'collateral', { collateral: { platformList: { nextUpdate: day('2026-06-10') } } }],
  ['a root list from the future', 'collateral', { collateral: { rootList: { thisUpdate: day('2026-06-11') } } }],
  ['a platform list without a next update', 'collateral', { collateral: { platformList: { nextUpdate: null } } }],
  [
    'a root list that somebody else signed', 'collateral',
    { collateral: { rootList: { signer: intel.authority.privateKey } } }
  ],
  [
    'a platform list that somebody else signed', 'collateral',
    { collateral: { platformList: { signer: intel.root.privateKey } } }
  ],
  ['a partial list', 'collateral', { collateral: { platformList: { extensions: [critical] } } }],
  ['the list of the other authority', 'collateral', { collateralPatch: listOfOther }],
  ['an empty list', 'collateral', { collateralPatch: { pck_crl: '' } }],
  ['a missing list', 'collateral', { collateralPatch: { root_ca_crl: undefined } }],
  ['stale TCB info', 'collateral', { collateral: { tcbInfo: tcbInfo({ nextUpdate: '2026-06-10T00:00:00Z' }) } }],
  [
    'TCB info from the future', 'collateral',
    { collateral: { tcbInfo: tcbInfo({ issueDate: '2026-06-11T00:00:00Z' }) } }
  ],
  [
    'a stale identity', 'collateral', { collateral: { qeIdentity: qeIdentity({ nextUpdate: '2026-06-10T00:00:00Z' }) } }
  ],
  [
    'an identity from the future', 'collateral',
    { collateral: { qeIdentity: qeIdentity({ issueDate: '2026-06-11T00:00:00Z' }) } }
  ],
  [
    'TCB info that is due at no time', 'collateral',
    { collateral: { tcbInfo: tcbInfo({ nextUpdate: '2027-00-00T29:00:00Z' }) } }
  ],
  ['TCB info of SGX', 'collateral', { collateral: { tcbInfo: tcbInfo({ id: 'SGX' }) } }],
  ['the identity of another enclave', 'collateral', { collateral: { qeIdentity: qeIdentity({ id: 'QE' }) } }],
  ['a status that nobody knows', 'collateral', { collateral: { tcbInfo: tcbInfo({ tcbLevels: [level('Fine')] }) } }],
  ['a level with 15 components', 'collateral', {
    collateral: {
      tcbInfo: tcbInfo(
        { tcbLevels: [{ ...level('UpToDate'), tcb: { ...level('UpToDate').tcb, tdxtcbcomponents: [] } }] }
      )
    }
  }],
  [
    'changed TCB info', 'collateral',
    { collateralPatch: { tcb_info: JSON.stringify(tcbInfo({ tcbEvaluationDataNumber: 20 })) } }
  ],
  [
    'a changed identity', 'collateral',
    { collateralPatch: { qe_identity: JSON.stringify(qeIdentity({ isvprodid: 3 })) } }
  ],
  ['TCB info that a platform\'s key signed', 'collateral', { collateral: { signer: leafSigner } }],
  ['TCB info that an authority signed', 'collateral', { collateral: { signer: intel.authority } }],
  [
    'TCB info that another key below the root signed', 'collateral',
    { collateral: { signer: intel.party('Somebody', intel.root) } }
  ],
  ['TCB info that a stranger signed', 'collateral', { collateral: { signer: stranger.signer } }],
  [
    'a chain that is not the quote\'s', 'collateral',
    { collateralPatch: { pck_certificate_chain: chainOf(intel, intel.platform()) } }
  ],
  [
    'no collateral', 'collateral',
    { options: { platforms: { tdx: { roots: [intel.rootHash], collateral: async () => undefined as never } } } }
  ],

  ['an enclave by another signer', 'quoting-enclave', { quote: { enclave: [[128, [0]]] } }],
  ['another product', 'quoting-enclave', { quote: { enclave: [[256, [1]]] } }],
  ['an enclave that can be debugged', 'quoting-enclave', { quote: { enclave: [[48, [0x13]]] } }],
  ['an enclave with other attributes', 'quoting-enclave', { quote: { enclave: [[48, [0x31]]] } }],
  ['an enclave with another MISCSELECT', 'quoting-enclave', { quote: { enclave: [[16, [1]]] } }],
  ['an enclave that is too old for any status', 'quoting-enclave', { quote: { enclave: [[258, [3]]] } }],
  ['an enclave that is out of date', 'tcb', { quote: { enclave: [[258, [7]]] } }],
  ['TCB info of another platform model', 'tcb', { collateral: { tcbInfo: tcbInfo({ fmspc: '00606a000000' }) } }],
  ['TCB info of another certification enclave', 'tcb', { collateral: { tcbInfo: tcbInfo({ pceId: '0001' }) } }],
  ['a platform below every level', 'tcb', {
    quote: {
      platform: intel.platform({ ...PLATFORM, components: PLATFORM.components.map((value, i) => i === 7 ? 2 : value) })
    }
  }],
  [
    'a certification enclave below every level', 'tcb',
    { quote: { platform: intel.platform({ ...PLATFORM, pcesvn: 10 }) } }
  ],

  ['a quote of version 3', 'evidence', { quote: { header: [[0, [3]]] } }],
  ['a quote of SGX', 'evidence', { quote: { header: [[4, [0]]] } }],
  ['another kind of attestation key', 'evidence', { quote: { header: [[2, [3]]] } }],
  ['certification data of another kind', 'evidence', { quote: { types: [5, 5] } }],
  ['an encrypted platform identity in place of a chain', 'evidence', { quote: { types: [6, 3] } }],
  ['something behind the quote', 'evidence', { quote: { trailing: Uint8Array.of(0, 1) } }],
  ['two quotes', 'evidence', { evidence: [[MEDIA_TYPE, 'AAAA'], [MEDIA_TYPE, 'AAAA']] }],
  ['no quote', 'evidence', { evidence: [] }],
  ['a quote that is not base64url', 'evidence', { evidence: [[MEDIA_TYPE, '=']] }]
]
for (const [name, check, scene] of cases) {
  t.test(`${name}: ${check} fails alone`, async t => {
    const verdict = await appraise(scene)
    t.same(failed(verdict), [check], JSON.stringify(verdict.checks.filter(({ outcome }) => outcome === 'failed')))
    t.notOk(verdict.verified)
  })
}

const accepted: Array<[name: string, scene: Scene]> = [
  ['a quote of version 5', { quote: { version: 5 } }],
  ['a quote of version 5 with a report of TDX 1.5', { quote: { version: 5, extended: true } }],
  ['zeros behind the quote', { quote: { trailing: new Uint8Array(40) } }],
  ['a zero behind the chain', { quote: { chain: `${chainOf(intel, platform)}\0` } }],
  ['no authentication data', { quote: { authenticationData: new Uint8Array() } }],
  ['authentication data of 100 bytes', { quote: { authenticationData: new Uint8Array(100).fill(3) } }],
  ['a platform of the other authority', (() => {
    const processor = makeIntel('Intel SGX PCK Processor CA')
    const own = processor.platform()
    return {
      quote: { chain: chainOf(processor, own), platform: own },
      options: { platforms: { tdx: { roots: [processor.rootHash], collateral: collateral(processor) } } }
    }
  })()],
  [
    'serial numbers of another issuer in a list',
    { collateral: { rootList: { revoked: [77] }, platformList: { revoked: [1, 2, 3] } } }
  ],
  ['lists and signatures as bytes', {
    collateralPatch: {
      pck_crl: [...Buffer.from(String(collateral(intel).pck_crl), 'hex')], pck_certificate_chain: null
    }
  }],
  ['pins that fit', {
    policy: {
      mrseam: [hex(0)],
      mrsignerseam: [hex(0)],
      seamAttributes: [hex(0, 8)],
      mrconfigid: [hex(0)],
      mrowner: [hex(0)],
      mrownerconfig: [hex(0)],
      attributes: ['0000001000000000'],
      xfam: ['e702060000000000'],
      fmspcs: [PLATFORM.fmspc],
      minimumTeeTcbSvn: `060108${'00'.repeat(13)}`,
      minimumTcbEvaluationDataNumber: 19
    }
  }],
  [
    'exceptions that the host causes, where the policy says so',
    { quote: { body: [[123, [0]]] }, policy: { allowSeptVe: true } }
  ],
  [
    'something behind the quote, where the policy says so',
    { quote: { trailing: Uint8Array.of(1) }, policy: { allowTrailingBytes: true } }
  ],
  [
    'a service TD that is pinned',
    { quote: { version: 5, extended: true, body: [[600, [1]]] }, policy: { mrservicetd: [`01${'00'.repeat(47)}`] } }
  ],
  [
    'an old platform without collateral, where the policy insists',
    { insecure: true, policy: { withoutCollateral: true }, collateral: revokedPlatform, quote: { svn: [1, 1, 0] } }
  ]
]
for (const [name, scene] of accepted) {
  t.test(`${name}: verified`, async t => t.same(failed(await appraise(scene)), []))
}

t.test('without collateral the verdict says what was not checked', async t => {
  const verdict = await appraise({ insecure: true, policy: { withoutCollateral: true } })
  for (const name of ['collateral', 'revocation', 'quoting-enclave', 'tcb']) {
    t.equal(outcomeOf(verdict, name), 'skipped', name)
  }
})

t.test('a quote is refused when it ends at any place, and by a verdict', async t => {
  const whole = quote(intel, { platform, reportData: bound })
  for (let length = 0; length < whole.length; length += length < 1400 ? 1 : 37) {
    const names = failed(await appraise({ patch: () => whole.subarray(0, length) }))
    if (!names.includes('evidence')) t.fail(`${length}: ${names.join(', ')}`)
  }
})

t.test('a quote or collateral with any change is refused, and by a verdict', async () => {
  const whole = quote(intel, { platform, reportData: bound })
  const given = collateral(intel)
  const parts = Object.keys(given) as Array<keyof TdxCollateral>
  await fc.assert(fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
    const { verified } = await appraise(
      { patch: () => { const copy = Buffer.from(whole); copy[at]! ^= change; return copy } }
    )
    return !verified
  }), { numRuns: 150 })
  await fc.assert(fc.asyncProperty(fc.constantFrom(...parts), fc
    .nat(), fc.integer({ min: 1, max: 127 }), async (part, at, change) => {
    const text = Buffer.from(String(given[part]), 'latin1')
    text[at % text.length]! ^= change
    const { verified } = await appraise({ collateralPatch: { [part]: text.toString('latin1') } })
    return !verified
  }), { numRuns: 150 })
})

t.test('TCB info, identity and lists of any form give a verdict', async () => {
  await fc.assert(fc.asyncProperty(fc.jsonValue().filter(value => value !==
    null), fc.constantFrom('tcbInfo', 'qeIdentity'), async (value, part) => {
    const { verified } = await appraise({ collateral: { [part]: value as never } })
    return !verified
  }), { numRuns: 60 })
  await fc.assert(fc.asyncProperty(fc.constantFrom(
    'tcbLevels', 'tdxModule', 'tdxModuleIdentities', 'fmspc', 'nextUpdate', 'version'
  ), fc.jsonValue(), async (member, value) => {
    await appraise({ collateral: { tcbInfo: tcbInfo({ [member]: value }) } })
  }), { numRuns: 60 })
})
