/** TDX quotes that are verified: those that fit, in each form that is allowed, and by each policy that allows more. */
import t from 'tap'
import { PLATFORM, chainOf, makeIntel } from '../../../fixtures/intel/authority.ts'
import { collateral } from '../../../fixtures/intel/collateral.ts'
import { failed, outcomeOf } from '../../../fixtures/verdict.ts'
import { appraise, hex, intel, measurement, platform, revokedPlatform } from '../../../fixtures/intel/scene.ts'
import type { Scene } from '../../../fixtures/intel/scene.ts'

t.test('a quote that fits is verified, every check with a detail', async t => {
  const verdict = await appraise()
  t.same(failed(verdict), [])
  t.ok(verdict.verified)
  t.ok(verdict.checks.every(({ detail }) => detail !== ''))
  t.same(verdict.presented.tdx?.measurements, [measurement])
  t.ok((await appraise({ policy: verdict.presented.tdx! })).verified, 'and by the policy made of what it presented')
})

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
