// AMD's revocation lists, from each place that they may come from, and what makes a list one that is not believed. And
// what other pins of SEV-SNP reports there are.
import t from 'tap'
import fc from 'fast-check'
import { MEDIA_TYPES } from '../../../lib/protocols/attestation.ts'
import type { TypedValue } from '../../../lib/protocols/attestation.ts'
import { appraise } from '../../../sdk/attestation/index.ts'
import type { AppraisalOptions, SnpPolicy } from '../../../sdk/attestation/index.ts'
import { parseCertificate } from '../../../sdk/attestation/x509/certificate.ts'
import { parseRevocationList } from '../../../sdk/attestation/x509/revocation.ts'
import { parseSnpReport } from '../../../sdk/attestation/snp/report.ts'
import { CHIP_ID, leafCertificate, snpChain, snpReport, snpRevocationList } from '../../fixtures/snp.ts'
import type { SnpListShape } from '../../fixtures/snp.ts'
import { failed, outcomeOf } from '../../fixtures/verdict.ts'

const chain = await snpChain()
const other = await snpChain()
const leaf = await leafCertificate(chain, { serial: 77 })
const provider = await leafCertificate(chain, { subject: 'SEV-VLEK', chipId: undefined })
const now = new Date('2026-06-01T00:00:00Z')
const hex = (octet: number, length: number) => octet.toString(16).padStart(2, '0').repeat(length)
const base64 = (
  bytes: Uint8Array, encoding: 'base64' | 'base64url' = 'base64url'
) => Buffer.from(bytes).toString(encoding)

interface Scene {
  readonly policy?: SnpPolicy
  readonly endorsements?: readonly TypedValue[]
  readonly lists?: readonly Uint8Array[]
  readonly patches?: ReadonlyArray<[number, ArrayLike<number>]>
  readonly options?: AppraisalOptions
  readonly leaf?: Uint8Array
}

async function verdictOf (
  { policy = {}, endorsements = [], lists, patches = [], options = {}, leaf: own = leaf }: Scene
) {
  const report = await snpReport(chain.leafKeys.privateKey, { reportData: new Uint8Array(64), patches: [...patches] })
  return appraise({
    tee: 'sev-snp',
    evidence: [[MEDIA_TYPES.snpReport, base64(report)]],
    endorsements: [...[own, chain.ask.certificate, chain.ark.certificate].map(
      (der): TypedValue => [MEDIA_TYPES.certificate, base64(der)]
    ), ...endorsements]
  }, { version: 1, insecure: true, platforms: { 'sev-snp': { anyHostData: true, ...policy } } }, {
    now,
    platforms: { 'sev-snp': { roots: { [chain.rootHash]: 'Milan' }, ...lists && { revocationLists: lists } } },
    ...options
  })
}

const list = (shape: SnpListShape = {}) => snpRevocationList(chain.ark, shape)
const fresh = await list()

t.test('a list is believed wherever it comes from, and the verdict says if there was none', async t => {
  t.equal(outcomeOf(await verdictOf({}), 'revocation'), 'skipped')
  for (const scene of [
    { lists: [fresh] },
    { endorsements: [[MEDIA_TYPES.revocationList, base64(fresh)]] },
    { policy: { revocationLists: [base64(fresh, 'base64')] } }
  ] satisfies Scene[]) {
    const verdict = await verdictOf(scene)
    t.same(failed(verdict), [])
    t.equal(outcomeOf(verdict, 'revocation'), 'passed')
  }
})

const day = (text: string) => new Date(`${text}T00:00:00Z`)
const refused: Array<[name: string, scene: Scene]> = [
  ['none, although the policy requires one', { policy: { revocation: 'required' } }],
  ['one that names AMD\'s signing key', { lists: [await list({ revoked: [9, 2] })] }],
  ['one that names the chip\'s certificate', { lists: [await list({ revoked: [77] })] }],
  ['one that names the root', { lists: [await list({ revoked: [1] })] }],
  ['a stale one', { lists: [await list({ nextUpdate: day('2026-05-31') })] }],
  ['one from the future', { lists: [await list({ thisUpdate: day('2026-06-02') })] }],
  ['one that another root signed', { lists: [await list({ signer: other.ark.keys.privateKey })] }],
  ['one of another root', { lists: [await snpRevocationList(other.ask, {})] }],
  ['one that AMD\'s signing key signed', { lists: [await list({ signer: chain.ask.keys.privateKey })] }],
  ['one that is partial', { lists: [await list({ partial: true })] }],
  ['one that is cut off', { lists: [fresh.subarray(0, 100)] }],
  ['a good one and a bad one', { lists: [fresh, new Uint8Array()] }],
  ['one that is not base64url', { endorsements: [[MEDIA_TYPES.revocationList, '=']] }],
  ['a stale one with a revoked key, where stale ones are believed', {
    lists: [await list({ nextUpdate: day('2026-05-31'), revoked: [2] })], policy: { allowStaleRevocationLists: true }
  }]
]
for (const [name, scene] of refused) {
  t.test(`revocation lists, ${name}: refused`, async t => t.same(failed(await verdictOf(scene)), ['revocation']))
}

t.test('a stale list is believed where the policy says so', async t => {
  t.same(failed(await verdictOf({
    lists: [await list({ nextUpdate: day('2026-05-31') })],
    policy: { allowStaleRevocationLists: true, revocation: 'required' }
  })), [])
})

t.test('AMD is asked where the policy says so, by product and kind of key; that it is unreachable is no ' +
  'verdict', async t => {
  const asked: string[] = []
  const fetcher: typeof fetch = async input => {
    asked.push(String(input))
    return new Response(fresh)
  }
  const policy = { revocation: 'fetch' } as const
  t.same(failed(await verdictOf({ policy, options: { ...roots(), fetch: fetcher } })), [])
  t.same(failed(await verdictOf({
    policy, leaf: provider, patches: [[0x48, [4]], [0x1a0, new Uint8Array(64)]], options: { ...roots(), fetch: fetcher }
  })), [])
  t.same(asked, ['https://kdsintf.amd.com/vcek/v1/Milan/crl', 'https://kdsintf.amd.com/vlek/v1/Milan/crl'])
  await t.rejects(
    verdictOf({ policy, options: { ...roots(), fetch: async () => new Response(null, { status: 503 }) } }),
    { code: 'ERR_ATTESTATION_FETCH' }
  )
  t.same(
    failed(await verdictOf({ policy, lists: [fresh], options: { fetch: async () => { throw new Error('asked') } } })),
    [], 'and is not asked if there is a list'
  )
})

function roots (): AppraisalOptions {
  return { platforms: { 'sev-snp': { roots: { [chain.rootHash]: 'Milan' } } } }
}

const pins: Array<[check: string, fitting: SnpPolicy, other: SnpPolicy]> = [
  ['id-key', { idKeyDigests: [hex(0, 48)] }, { idKeyDigests: [hex(1, 48)] }],
  ['author-key', { authorKeyDigests: [hex(0, 48)] }, { authorKeyDigests: [hex(1, 48)] }],
  ['family', { familyIds: [hex(0, 16)] }, { familyIds: [hex(1, 16)] }],
  ['image', { imageIds: [hex(0, 16)] }, { imageIds: [hex(1, 16)] }],
  ['chip', { chipIds: [Buffer.from(CHIP_ID).toString('hex')] }, { chipIds: [hex(1, 64)] }],
  ['guest-policy', { guestPolicies: ['0000000000030000'] }, { guestPolicies: ['0000000000020000'] }],
  [
    'platform-info', { platformInfo: { smt: true, ecc: true, aliasCheck: true, memoryEncryption: false } },
    { platformInfo: { smt: false } }
  ],
  ['platform-info', { platformInfo: { ciphertextHiding: false } }, { platformInfo: { ciphertextHiding: true } }]
]
for (const [check, fitting, different] of pins) {
  t.test(`${check} can be pinned: ${Object.keys(fitting).join()}`, async t => {
    const patches: Array<[number, number[]]> = [[0x40, [0b100101]]]
    t.same(failed(await verdictOf({ policy: fitting, patches })), [])
    t.same(failed(await verdictOf({ policy: different, patches })), [check])
  })
}

const guestPolicies: Array<[name: string, octets: number[], refused: boolean]> = [
  ['bit 17 cleared', [0, 0, 1], true],
  ['all bits that firmware defines, but debugging and migration', [0xff, 0xff, 0xf3, 0x03], false],
  ['the first bit that no firmware defines', [0, 0, 3, 4], true],
  ['the last bit', [0, 0, 3, 0, 0, 0, 0, 0x80], true]
]
for (const [name, octets, isRefused] of guestPolicies) {
  t.test(`a guest policy with ${name} is ${isRefused ? 'refused' : 'accepted'}`, async t => {
    t.same(failed(await verdictOf({ patches: [[0x08, octets]] })), isRefused ? ['guest-policy'] : [])
  })
}

t.test('a measurement without host data is not enough where the host gave some, as on Azure', async t => {
  const measurements = [hex(0xaa, 48)]
  t.same(failed(await verdictOf({ policy: { measurements, anyHostData: false } })), ['host-data'])
  t.same(failed(await verdictOf({ policy: { measurements, anyHostData: true } })), [])
  t.same(failed(await verdictOf({ policy: { measurements, anyHostData: false, hostData: [hex(0xbb, 32)] } })), [])
  t.same(
    failed(await verdictOf({ policy: { measurements, anyHostData: false }, patches: [[0xc0, new Uint8Array(32)]] })), []
  )
})

t.test('the patch level is the certificate\'s: a report that claims more does not match it', async t => {
  const claims: Array<[number, number[]]> = [[0x180, [9, 9, 0, 0, 0, 0, 99, 255]], [0x1f0, [9, 9, 0, 0, 0, 0, 99, 255]]]
  const verdict = await verdictOf({ patches: claims, policy: { minimumTcb: { snp: 99 } } })
  t.same(failed(verdict), ['certificate-matches-report'])
  t.same(verdict.presented['sev-snp']?.minimumTcb, { bootloader: 3, tee: 1, snp: 8, microcode: 210 })
})

t.test('what is cut off at any place, or mutated, is an error of a parser or a verdict, and nothing else', async t => {
  const report = await snpReport(chain.leafKeys.privateKey, { reportData: new Uint8Array(64) })
  const parsers: Array<[Uint8Array<ArrayBuffer>, (bytes: Uint8Array<ArrayBuffer>) => unknown]> =
    [[leaf, parseCertificate], [fresh, parseRevocationList], [report, parseSnpReport]]
  for (const [whole, parse] of parsers) {
    for (let length = 0; length < whole.length; length++) {
      t.throws(() => parse(whole.slice(0, length)), Error) || t.fail(String(length))
    }
    t.throws(() => parse(Uint8Array.from([...whole, 0])), Error)
    fc.assert(fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, octet) => {
      const copy = Uint8Array.from(whole)
      copy[at] = octet
      try {
        parse(copy)
      } catch (error) {
        return error instanceof Error
      }
      return true
    }))
  }
})
