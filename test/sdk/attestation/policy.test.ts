// Policies: what is well-formed, and that one which pins nothing is refused unless it says so by name.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { AttestationPolicyError, parseAttestationPolicy } from '../../../sdk/attestation/index.ts'

const HASH_256 = 'ab'.repeat(32)
const HASH_384 = 'cd'.repeat(48)
const HASH_128 = 'ab'.repeat(16)

const complete = {
  version: 1,
  maximumAgeSeconds: 300,
  clockToleranceSeconds: 0,
  allowCached: true,
  development: true,
  insecure: false,
  platforms: {
    'google-confidential-space': {
      audience: 'polaris',
      imageDigests: [`sha256:${HASH_256}`],
      projectIds: ['p'],
      serviceAccounts: ['a@p.iam.gserviceaccount.com'],
      hardwareModels: ['GCP_AMD_SEV'],
      environment: { A: ['1', ''] },
      command: ['a', ''],
      allowDebug: false
    },
    'azure-maa': {
      issuers: ['https://sharedneu.neu.attest.azure.net'],
      hostData: [HASH_256],
      measurements: [HASH_384],
      minimumGuestSvn: 1,
      allowDebug: false
    },
    'sev-snp': {
      measurements: [HASH_384],
      hostData: [HASH_256],
      anyHostData: false,
      idKeyDigests: [HASH_384],
      authorKeyDigests: [HASH_384],
      familyIds: [HASH_128],
      imageIds: [HASH_128],
      chipIds: ['ef'.repeat(64)],
      guestPolicies: ['0000000000030000'],
      minimumTcb: { fmc: 0, bootloader: 1, tee: 2, snp: 3, microcode: 4 },
      minimumGuestSvn: 1,
      maximumVmpl: 3,
      products: ['Turin'],
      platformInfo: {
        smt: false, memoryEncryption: true, ecc: true, raplDisabled: true, ciphertextHiding: true, aliasCheck: true
      },
      revocation: 'required',
      revocationLists: ['AAAA'],
      allowStaleRevocationLists: false,
      allowDebug: false,
      allowMigration: true
    },
    tdx: {
      measurements: [{ mrtd: HASH_384, rtmr0: HASH_384, rtmr1: HASH_384, rtmr2: HASH_384, rtmr3: HASH_384 }],
      mrconfigid: [HASH_384],
      mrowner: [HASH_384],
      mrownerconfig: [HASH_384],
      mrseam: [HASH_384],
      mrsignerseam: [HASH_384],
      seamAttributes: ['00'.repeat(8)],
      attributes: ['0000001000000000'],
      xfam: ['e702060000000000'],
      mrservicetd: [HASH_384],
      fmspcs: ['00806f050000'],
      qeVendorIds: [HASH_128],
      tcbStatuses: ['UpToDate', 'SWHardeningNeeded'],
      minimumTeeTcbSvn: HASH_128,
      minimumTcbEvaluationDataNumber: 19,
      allowSeptVe: false,
      allowTrailingBytes: false,
      withoutCollateral: false
    },
    simulated: { roots: ['A'.repeat(43)] }
  }
}

t.test('a policy with every member is read, from text and from an object', async t => {
  t.same(parseAttestationPolicy(JSON.stringify(complete)), complete)
  t.same(parseAttestationPolicy(complete), complete)
})

t.test('docs/attestation-policy.md explains every member', async t => {
  const [, chapter = ''] = readFileSync(
    new URL('../../../docs/attestation-policy.md', import.meta.url), 'utf8'
  ).split('## All members')
  const freelyNamed = new Set(['A'])
  const members = (value: unknown): string[] => {
    if (Array.isArray(value)) return value.flatMap(members)
    return typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([name, inner]) => [name, ...members(inner)])
      : []
  }
  for (const name of members(complete).filter(name => !freelyNamed.has(name) && !/^rtmr[0-3]$/.test(name))) {
    t.ok(chapter.includes(`\`${name}\``), name)
  }
})

const pinless: Array<[name: string, platforms: Record<string, unknown>]> = [
  ['google-confidential-space', { 'google-confidential-space': { audience: 'polaris', projectIds: ['p'] } }],
  [
    'google-confidential-space with an empty list',
    { 'google-confidential-space': { audience: 'polaris', imageDigests: [] } }
  ],
  ['azure-maa', { 'azure-maa': { issuers: ['https://a.example'], measurements: [HASH_384] } }],
  ['sev-snp', { 'sev-snp': {} }],
  ['sev-snp by host data, which the host chooses', { 'sev-snp': { hostData: [HASH_256] } }],
  ['tdx', { tdx: {} }],
  ['tdx by firmware alone', { tdx: { measurements: [{ mrtd: HASH_384 }] } }],
  ['tdx by firmware and its settings', { tdx: { measurements: [{ mrtd: HASH_384, rtmr0: HASH_384 }] } }],
  ['tdx by firmware and what the application adds', { tdx: { measurements: [{ mrtd: HASH_384, rtmr3: HASH_384 }] } }],
  ['tdx without kernel and command line', { tdx: { measurements: [{ mrtd: HASH_384, rtmr1: HASH_384 }] } }],
  ['tdx without boot loader', { tdx: { measurements: [{ mrtd: HASH_384, rtmr2: HASH_384 }] } }],
  ['tdx without firmware', { tdx: { measurements: [{ rtmr1: HASH_384, rtmr2: HASH_384 }] } }],
  [
    'tdx where one alternative is open',
    { tdx: { measurements: [{ mrtd: HASH_384, rtmr1: HASH_384, rtmr2: HASH_384 }, { mrtd: HASH_384 }] } }
  ],
  [
    'tdx on a platform of unknown state',
    { tdx: { measurements: [{ mrtd: HASH_384, rtmr1: HASH_384, rtmr2: HASH_384 }], withoutCollateral: true } }
  ],
  ['one of two platforms', { 'sev-snp': { measurements: [HASH_384] }, tdx: { measurements: [] } }]
]
for (const [name, platforms] of pinless) {
  t.test(`${name}: pins nothing, and is refused unless it says insecure`, async t => {
    t.throws(
      () => parseAttestationPolicy({ version: 1, platforms }),
      { code: 'ERR_ATTESTATION_POLICY', message: /pins no software/ }
    )
    t.doesNotThrow(() => parseAttestationPolicy({ version: 1, platforms, insecure: true }))
  })
}

t.test('simulated evidence needs a development policy; insecure is not the word for it', async t => {
  const platforms = { simulated: { roots: ['A'.repeat(43)] } }
  t.throws(() => parseAttestationPolicy({ version: 1, platforms }), { message: /"development": true/ })
  t.throws(() => parseAttestationPolicy({ version: 1, platforms, insecure: true }), { message: /"development": true/ })
  t.doesNotThrow(() => parseAttestationPolicy({ version: 1, platforms, development: true }))
  t.throws(
    () => parseAttestationPolicy({ version: 1, platforms: { simulated: {} }, development: true }),
    { message: /pins no software/ }
  )
})

const snp = (members: Record<string, unknown>) => ({
  version: 1, platforms: { 'sev-snp': { measurements: [HASH_384], ...members } }
})
const malformed: Array<[name: string, policy: unknown, member: string]> = [
  ['null', null, 'policy'],
  ['a list', [], 'policy'],
  ['no version', { platforms: {} }, 'policy.version'],
  ['another version', { version: 2, platforms: {} }, 'policy.version'],
  ['no platforms', { version: 1 }, 'policy.platforms'],
  ['empty platforms', { version: 1, platforms: {} }, 'policy.platforms'],
  ['an unknown platform', { version: 1, platforms: { sgx: {} } }, 'policy.platforms.sgx'],
  ['a misspelt member', snp({ measurment: [HASH_384] }), 'policy.platforms.sev-snp.measurment'],
  ['a member named like a prototype\'s', snp({ constructor: 1 }), 'policy.platforms.sev-snp.constructor'],
  [
    'a measurement in capitals', snp({ measurements: [HASH_384.toUpperCase()] }),
    'policy.platforms.sev-snp.measurements[0]'
  ],
  ['a short measurement', snp({ measurements: [HASH_384, HASH_256] }), 'policy.platforms.sev-snp.measurements[1]'],
  ['a measurement that is no list', snp({ measurements: HASH_384 }), 'policy.platforms.sev-snp.measurements'],
  ['a flag as text', snp({ allowDebug: 'false' }), 'policy.platforms.sev-snp.allowDebug'],
  ['a negative count', snp({ minimumGuestSvn: -1 }), 'policy.platforms.sev-snp.minimumGuestSvn'],
  [
    'a privilege level that reports of the host\'s own have', snp({ maximumVmpl: 0xffffffff }),
    'policy.platforms.sev-snp.maximumVmpl'
  ],
  ['an unknown product', snp({ products: ['Rome'] }), 'policy.platforms.sev-snp.products[0]'],
  [
    'no audience', { version: 1, platforms: { 'google-confidential-space': { imageDigests: [`sha256:${HASH_256}`] } } },
    'policy.platforms.google-confidential-space.audience'
  ],
  [
    'a digest without its algorithm',
    { version: 1, platforms: { 'google-confidential-space': { audience: 'a', imageDigests: [HASH_256] } } },
    'imageDigests[0]'
  ],
  [
    'no issuers', { version: 1, platforms: { 'azure-maa': { hostData: [HASH_256] } } },
    'policy.platforms.azure-maa.issuers'
  ],
  [
    'an issuer over http',
    { version: 1, platforms: { 'azure-maa': { issuers: ['http://a.example'], hostData: [HASH_256] } } }, 'issuers[0]'
  ],
  [
    'an issuer with a path',
    { version: 1, platforms: { 'azure-maa': { issuers: ['https://a.example/x'], hostData: [HASH_256] } } }, 'issuers[0]'
  ],
  ['a minimum TCB of nothing', snp({ minimumTcb: {} }), 'policy.platforms.sev-snp.minimumTcb'],
  ['a minimum TCB of undefined parts', snp({ minimumTcb: { snp: undefined } }), 'policy.platforms.sev-snp.minimumTcb'],
  ['a TCB part that a byte cannot hold', snp({ minimumTcb: { snp: 256 } }), 'minimumTcb.snp'],
  ['platform information of nothing', snp({ platformInfo: {} }), 'platformInfo'],
  ['a way of revocation that nobody knows', snp({ revocation: 'none' }), 'revocation'],
  [
    'a TDX measurement of nothing', { version: 1, insecure: true, platforms: { tdx: { measurements: [{}] } } },
    'measurements[0]'
  ],
  [
    'a TCB status that no policy may accept',
    { version: 1, insecure: true, platforms: { tdx: { tcbStatuses: ['Revoked'] } } }, 'tcbStatuses[0]'
  ],
  ['an age of millions of years', { ...snp({}), maximumAgeSeconds: 1e15 }, 'policy.maximumAgeSeconds'],
  ['an age of more than a day', { ...snp({}), maximumAgeSeconds: 86_401 }, 'policy.maximumAgeSeconds'],
  [
    'clocks that differ by more than an hour', { ...snp({}), clockToleranceSeconds: 3601 },
    'policy.clockToleranceSeconds'
  ],
  [
    'a TDX measurement without MRTD', { version: 1, platforms: { tdx: { measurements: [{ rtmr1: HASH_384 }] } } },
    'measurements[0].mrtd'
  ]
]
for (const [name, policy, member] of malformed) {
  t.test(`${name} is refused by the member's name`, async t => {
    const error = t.throws(() => parseAttestationPolicy(policy), { code: 'ERR_ATTESTATION_POLICY' }) as unknown as Error
    t.ok(error.message.includes(member), error.message)
  })
}

t.test('text that is not JSON is refused', async t => {
  for (const text of ['', '{', 'x']) t.throws(() => parseAttestationPolicy(text), AttestationPolicyError)
})

t.test('any other value is refused by that error alone', async () => {
  fc.assert(fc.property(fc.jsonValue(), value => {
    try {
      parseAttestationPolicy(value)
      return false
    } catch (error) {
      return error instanceof AttestationPolicyError
    }
  }))
})
