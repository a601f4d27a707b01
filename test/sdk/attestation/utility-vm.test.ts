// Azure's endorsement of the utility VM in place of its measurement: COSE_Sign1 by an issuer of did:x509. The
// endorsements and the chain are our own, in the form of Microsoft's.
import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { reportData } from '../../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'
import { AttestationPolicyError, appraise, parseAttestationPolicy } from '../../../sdk/attestation/index.ts'
import type { SnpPolicy } from '../../../sdk/attestation/index.ts'
import { CoseError, parseSign1 } from '../../../sdk/attestation/cose/sign1.ts'
import { leafCertificate, snpChain, snpReport } from '../../fixtures/snp.ts'
import { ISSUER, chain, didOf, endorsement, expired, otherPurpose, weak } from '../../fixtures/utility-vm.ts'
import type { EndorsementShape } from '../../fixtures/utility-vm.ts'

const amd = await snpChain()
const report = await snpReport(amd.leafKeys.privateKey, { reportData: reportData(new Uint8Array(32)) })
const certificates = [await leafCertificate(amd), amd.ask.certificate, amd.ark.certificate]
const options = {
  now: new Date('2026-06-01T00:00:00Z'), platforms: { 'sev-snp': { roots: { [amd.rootHash]: 'Milan' as const } } }
}
const hostData = ['bb'.repeat(32)]
const policy: SnpPolicy = { hostData, utilityVm: { issuers: [ISSUER], minimumSvn: 100 } }

async function verdictOf (endorsements: readonly Uint8Array[], section: SnpPolicy = policy) {
  return appraise({
    tee: 'sev-snp',
    evidence: [['application/vnd.polaris.sev-snp-report', encodeBase64url(report)]],
    endorsements: [
      ...certificates.map(der => ['application/pkix-cert', encodeBase64url(der)] as const),
      ...endorsements.map(bytes => ['application/cose; cose-type="cose-sign1"', encodeBase64url(bytes)] as const)
    ]
  }, { version: 1, platforms: { 'sev-snp': section } }, options)
}

async function checkOf (endorsements: readonly Uint8Array[], section: SnpPolicy = policy) {
  const { checks, verified } = await verdictOf(endorsements, section)
  const failed = checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)
  return { verified, failed, ...checks.find(({ name }) => name === 'utility-vm') }
}

const headers = (...pairs: Array<readonly [unknown, unknown]>): EndorsementShape => ({ headers: pairs })

t.test('a launch that the issuer endorses needs no measurement in the policy', async t => {
  const shapes: EndorsementShape[] = [
    {},
    { tagged: false },
    { payload: { 'x-ms-sevsnpvm-guestsvn': 101, 'x-ms-sevsnpvm-launchmeasurement': 'AA'.repeat(48) } },
    headers(
      ['iss', undefined], ['feed', undefined],
      [15, new Map<unknown, unknown>([[1, ISSUER], [2, 'ContainerPlat-AMD-UVM'], [6, 1_750_000_000]])]
    ),
    headers([15, new Map([[1, ISSUER]])])
  ]
  for (const shape of shapes) {
    t.match(await checkOf([endorsement(shape)]), { verified: true, outcome: 'passed', detail: /utility VM 101/ })
  }
})

t.test('an endorsement that is not exactly that is refused by its reason', async t => {
  const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const cases: ReadonlyArray<readonly [EndorsementShape, RegExp]> = [
    [headers(['iss', didOf(chain[1] ?? Buffer.of())]), /its issuer is/],
    [headers(['iss', undefined]), /its issuer is/],
    [headers([15, new Map([[1, 'did:x509:other']])]), /its issuer is/],
    [headers(['feed', 'ContainerPlat-Intel-UVM']), /its feed is/],
    [headers([33, chain.slice(0, 2)]), /another root/],
    [headers([33, [chain[0], chain[2]]]), /not issued by the next/],
    [headers([33, [otherPurpose.der, ...chain.slice(1)]]), /another purpose/],
    [{ ...headers([33, [expired.der, ...chain.slice(1)]]), key: expired.key }, /not valid when it was used/],
    [headers([15, new Map<unknown, unknown>([[6, 4_000_000_000]])]), /not valid when it was used/],
    [headers([33, []]), /can be read/],
    [headers([33, Array(7).fill(chain[0])]), /can be read/],
    [headers([33, ['text']]), /can be read/],
    [headers([33, [Buffer.of(0x30, 0)]]), /can be read/],
    [headers([33, undefined]), /can be read/],
    [headers([2, [99]]), /can be read/],
    [headers([1, -37]), /did not sign/],
    [headers([1, undefined]), /did not sign/],
    [{ key: foreign }, /did not sign/],
    [{ saltLength: 32 }, /did not sign/],
    [
      { payload: { 'x-ms-sevsnpvm-guestsvn': '99', 'x-ms-sevsnpvm-launchmeasurement': 'aa'.repeat(48) } },
      /security version is 99/
    ],
    [
      { payload: { 'x-ms-sevsnpvm-guestsvn': '101', 'x-ms-sevsnpvm-launchmeasurement': 'ab'.repeat(48) } },
      /another launch measurement/
    ],
    [
      { payload: { 'x-ms-sevsnpvm-guestsvn': '1e3', 'x-ms-sevsnpvm-launchmeasurement': 'aa'.repeat(48) } },
      /can be read/
    ],
    [{ payload: { 'x-ms-sevsnpvm-launchmeasurement': 'aa'.repeat(48) } }, /can be read/],
    [{ payload: 'null' }, /can be read/],
    [{ payload: 'not JSON' }, /can be read/]
  ]
  for (const [shape, reason] of cases) {
    t.match(
      await checkOf([endorsement(shape)]),
      { verified: false, outcome: 'failed', detail: reason, failed: ['utility-vm'] }
    )
  }
  t.match(await checkOf([
    endorsement({ ...headers([33, [weak.leaf.der, weak.root.der]], ['iss', didOf(weak.root.der)]), key: weak.leaf.key })
  ],
  { ...policy, utilityVm: { issuers: [didOf(weak.root.der)] } }), {
    outcome: 'failed', detail: /not issued by the next/
  })
})

t.test('there has to be one, and only where the policy asks', async t => {
  t.match(await checkOf([]), { verified: false, failed: ['utility-vm'] })
  t.match(await checkOf([endorsement(), endorsement()]), { verified: false, failed: ['utility-vm'] })
  const measured = { hostData, measurements: ['aa'.repeat(48)] }
  t.match(
    await checkOf([endorsement()], measured), { verified: true, outcome: 'skipped' },
    'of an unknown issuer, which is of no matter here'
  )
  t.equal((await checkOf([], measured)).outcome, undefined)
})

t.test('by default the issuer is Microsoft, which ours is not', async t => {
  t.match(
    await checkOf([endorsement()], { hostData, utilityVm: {} }),
    { verified: false, failed: ['utility-vm'], detail: /its issuer is "did:x509:0:sha256:/ }
  )
})

t.test('a policy with an endorsement alone is refused: everybody runs that utility VM', async t => {
  const parse = (section: object) => () => parseAttestationPolicy({ version: 1, platforms: { 'sev-snp': section } })
  t.throws(parse({ utilityVm: {} }), { message: /pins no software: give hostData beside utilityVm/ })
  t.doesNotThrow(parse({ utilityVm: {}, hostData }))
  for (const utilityVm of [1, { issuers: ['did:web:example.com'] }, { issuer: [ISSUER] }, { minimumSvn: -1 }]) {
    t.throws(parse({ utilityVm, hostData }), AttestationPolicyError)
  }
  t.match(
    await checkOf([endorsement()], { ...policy, hostData: ['cc'.repeat(32)] }),
    { verified: false, failed: ['host-data'] }
  )
})

t.test('cut off anywhere, or with any bit flipped, it is refused', async t => {
  const whole = endorsement()
  for (let length = 0; length < whole.length; length++) t.throws(() => parseSign1(whole.subarray(0, length)), CoseError)
  t.throws(() => parseSign1(Buffer.concat([whole, Buffer.of(0)])), CoseError)
  t.throws(() => parseSign1(Buffer.alloc(70_000)), CoseError)
  await fc.assert(fc.asyncProperty(fc.nat({ max: whole.length * 8 - 1 }), async bit => {
    const flipped = Buffer.from(whole)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    return (await checkOf([flipped])).outcome === 'failed'
  }), { numRuns: 150 })
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
    try {
      parseSign1(bytes)
    } catch (error) {
      return error instanceof CoseError
    }
    return true
  }))
})

t.test('CBOR in another than its strict form is refused', async t => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ['a nested array, as deep as it goes', '81'.repeat(60_000)],
    ['an array of indefinite length', `9f40a04040${'ff'}`],
    ['a length in more bytes than it needs', '84' + '5800' + 'a0' + '40' + '40'],
    ['a text where bytes are expected', '84' + '60' + 'a0' + '40' + '40'],
    ['a key twice', '84' + '45' + 'a201260126' + 'a0' + '40' + '40'],
    ['a tag that is not known', '84' + '43' + 'a101c2' + 'a0' + '40' + '40'],
    ['a header that is not a map', '84' + '41' + '80' + 'a0' + '40' + '40'],
    ['something behind the header', '84' + '42' + 'a000' + 'a0' + '40' + '40']
  ]
  for (const [name, hex] of cases) t.throws(() => parseSign1(Buffer.from(hex, 'hex')), CoseError, name)
  t.doesNotThrow(() => parseSign1(Buffer.from('8441a0a04040', 'hex')))
})
