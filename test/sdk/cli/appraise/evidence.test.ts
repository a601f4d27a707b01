// polaris appraise, run as a process on files: each kind of evidence, recordings with the time set back, and exit
// statuses.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { simulated } from '../../../../lib/platforms/local/simulated-evidence.ts'
import { attestationDocument, bindingPreimage, sha256 } from '../../../../lib/protocols/attestation.ts'
import { NOW, makeIntel, pem } from '../../../fixtures/intel/authority.ts'
import { collateral } from '../../../fixtures/intel/collateral.ts'
import { quote } from '../../../fixtures/intel/quote.ts'
import { issuerKey } from '../../../fixtures/issuer.ts'
import { polaris } from '../../../fixtures/polaris-cli.ts'
import { absent, shared } from '../../../fixtures/shared.ts'
import { leafCertificate, snpChain, snpReport, snpRevocationList } from '../../../fixtures/snp.ts'

t.setTimeout(240_000)
const folder = t.testdir({})
let count = 0
/** A file with this content. */
function file (content: string | Uint8Array): string {
  const path = join(folder, `file-${count++}`)
  writeFileSync(path, content)
  return path
}

const hex = (octet: number) => octet.toString(16).padStart(2, '0').repeat(48)
const policy = (platforms: object, more: object = {}) => file(JSON.stringify({ version: 1, platforms, ...more }))
const AT = ['--at', NOW.toISOString()]

const intel = makeIntel()
const platform = intel.platform()
const QUOTE = file(quote(intel, { platform, reportData: new Uint8Array(64).fill(7) }))
const COLLATERAL = file(JSON.stringify(collateral(intel)))
const ROOT = file(pem(intel.root.certificate))
const tdxPolicy = (rtmr2: number) => policy(
  { tdx: { measurements: [{ mrtd: hex(0xa0), rtmr1: hex(0xb1), rtmr2: hex(rtmr2) }] } }
)
const tdx = ['tdx', '--quote', QUOTE, '--root', ROOT, ...AT]

const chain = await snpChain()
const REPORT = file(await snpReport(chain.leafKeys.privateKey, { reportData: new Uint8Array(64).fill(7) }))
const VCEK = file(await leafCertificate(chain))
const AMD = file(pem(chain.ask.certificate, chain.ark.certificate))
const ARK = file(chain.ark.certificate)
const snp = ['sev-snp', '--report', REPORT, '--certificates', VCEK, AMD, '--root', ARK, '--product', 'Milan', ...AT]

const issuer = await issuerKey('one')
const KEYS = file(JSON.stringify({ keys: [issuer.jwk] }))
const seconds = NOW.getTime() / 1000
const claims = {
  iss: 'https://confidentialcomputing.googleapis.com',
  aud: 'polaris',
  iat: seconds,
  exp: seconds + 3600,
  eat_nonce: 'recorded-nonce',
  secboot: true,
  hwmodel: 'GCP_AMD_SEV',
  swname: 'CONFIDENTIAL_SPACE',
  dbgstat: 'disabled-since-boot',
  submods: {
    confidential_space: { support_attributes: ['STABLE'] }, container: { image_digest: `sha256:${'ab'.repeat(32)}` }
  }
}
const TOKEN = file(`${await issuer.sign(claims)}\n`)
const SHIELDED = file(await issuer.sign({ ...claims, hwmodel: 'GCP_SHIELDED_VM' }))

const attester = await simulated()
const nonce = new Uint8Array(16).fill(3)
const keys = [{ kind: 'ohttp-keys' as const, value: Uint8Array.of(1, 2, 3) }]
const preimage = await bindingPreimage(nonce, keys)
const evidence = await attester.evidence({ preimage, binding: await sha256(preimage) })
const DOCUMENT = file(
  JSON.stringify(await attestationDocument({ ...evidence, nonce, cached: false, keys, issuedAt: new Date() }))
)
const development = policy({ simulated: { roots: [attester.root] } }, { development: true })

const cases: Array<[name: string, args: string[], status: number, stdout: RegExp]> = [
  [
    'a quote with its collateral', [...tdx, '--collateral', COLLATERAL], 0,
    /✓ tcb +The TCB status is "UpToDate"\n[^]*– bound +Not checked[^]*verified: tdx\n$/
  ],
  [
    'a quote with what it has to carry', [...tdx, '--collateral', COLLATERAL, '--report-data', '07'.repeat(64)], 0,
    /✓ bound/
  ],
  [
    'a quote about something else', [...tdx, '--collateral', COLLATERAL, '--report-data', '08'.repeat(64)], 1, /✗ bound/
  ],
  ['a quote and a policy', [...tdx, '--collateral', COLLATERAL, '--policy', tdxPolicy(0xb2)], 0, /✓ measurement/],
  ['a quote and another policy', [...tdx, '--collateral', COLLATERAL, '--policy', tdxPolicy(0xb3)], 1, /✗ measurement/],
  ['a quote without its root', ['tdx', '--quote', QUOTE, '--collateral', COLLATERAL, ...AT], 1, /✗ root/],
  ['a quote whose collateral is not JSON', [...tdx, '--collateral', QUOTE], 1, /✗ collateral/],
  [
    'a quote long after its collateral', ['tdx', '--quote', QUOTE, '--root', ROOT, '--collateral', COLLATERAL], 1,
    /✗ collateral/
  ],
  [
    'a quote that is cut off',
    ['tdx', '--quote', file(quote(intel).subarray(0, 1000)), '--collateral', COLLATERAL, ...AT], 1, /✗ evidence/
  ],

  ['a report with its chain', snp, 0, /– revocation +Not checked[^]*verified: sev-snp\n$/],
  ['a report with a revocation list', [...snp, '--crl', file(await snpRevocationList(chain.ark))], 0, /✓ revocation/],
  [
    'a report whose signing key is revoked',
    [...snp, '--crl', file(await snpRevocationList(chain.ark, { revoked: [2] }))], 1, /✗ revocation/
  ],
  ['a report with what it has to carry', [...snp, '--report-data', '07'.repeat(64)], 0, /✓ bound/],
  [
    'a report and a policy',
    [...snp, '--policy', policy({ 'sev-snp': { measurements: ['aa'.repeat(48)], hostData: ['bb'.repeat(32)] } })], 0,
    /✓ measurement/
  ],
  [
    'a report and a policy that leaves host data open',
    [...snp, '--policy', policy({ 'sev-snp': { measurements: ['aa'.repeat(48)] } })], 1, /✗ host-data/
  ],
  [
    'a report that is cut off', ['sev-snp', '--report', file(new Uint8Array(1183)), '--certificates', VCEK, ...AT], 1,
    /✗ report/
  ],

  [
    'a token', ['token', '--token', TOKEN, '--keys', KEYS, ...AT], 0,
    /✓ signature[^]*– bound +Not checked[^]*verified: google-confidential-space\n$/
  ],
  [
    'a token of a machine that keeps nothing from the host', ['token', '--token', SHIELDED, '--keys', KEYS, ...AT], 1,
    /✗ hardware/
  ],
  [
    'a token a day later', ['token', '--token', TOKEN, '--keys', KEYS, '--at', '2026-06-11T12:00:00+02:00'], 1,
    /✗ validity/
  ],
  ['a token of an unknown issuer', [
    'token', '--token', file(await issuer.sign({ ...claims, iss: 'https://attacker.example' })), '--keys', KEYS, ...AT
  ], 1, /✗ issuer/],
  ['what is no token', ['token', '--token', QUOTE, '--keys', KEYS, ...AT], 1, /✗ evidence/],

  ['a document', ['document', DOCUMENT, '--policy', development], 0, /– nonce +Not checked[^]*verified: simulated\n$/],
  [
    'a document and its nonce',
    ['document', DOCUMENT, '--policy', development, '--nonce', Buffer.from(nonce).toString('base64url')], 0, /✓ nonce/
  ],
  [
    'a document and another nonce', ['document', DOCUMENT, '--policy', development, '--nonce', 'A'.repeat(22)], 1,
    /✗ nonce/
  ],
  ['a document of simulated evidence, without a word about it', ['document', DOCUMENT], 1, /✗ platform/],
  [
    'a document of simulated evidence, for development', ['document', DOCUMENT, '--development'], 0,
    /verified: simulated/
  ]
]
t.test('verdicts', async t => {
  for (const [name, args, status, stdout] of cases) {
    t.match(await polaris(['appraise', ...args]), { status, stdout }, name)
  }
})

const mistakes: Array<[name: string, args: string[], stderr: RegExp]> = [
  ['no kind', [], /Usage: polaris appraise/],
  ['an unknown kind', ['sgx'], /unknown command 'sgx'/],
  ['no quote', ['tdx'], /required option '--quote <file>'/],
  ['a missing file', ['tdx', '--quote', join(folder, 'missing')], /cannot read .*missing: ENOENT/],
  ['what is no time', [...tdx, '--at', 'yesterday'], /not a time as in RFC 3339.*: yesterday/],
  [
    'report data that is too short', [...tdx, '--collateral', COLLATERAL, '--report-data', '07'],
    /--report-data takes 128 hexadecimal digits/
  ],
  ['a root that is no certificate', ['tdx', '--quote', QUOTE, '--root', COLLATERAL], /holds no certificate/],
  [
    'a root of no known product', ['sev-snp', '--report', REPORT, '--certificates', AMD, '--root', ARK],
    /give --product/
  ],
  ['a policy that pins nothing', [...tdx, '--policy', policy({ tdx: {} })], /pins no software/],
  ['keys that are not JSON', ['token', '--token', TOKEN, '--keys', QUOTE], /is not JSON/],
  ['what is no document', ['document', COLLATERAL], /Not an attestation document/],
  [
    'a nonce that is too short', ['document', DOCUMENT, '--development', '--nonce', 'AAAA'],
    /--nonce takes 16 to 64 bytes/
  ],
  ['Intel unreachable', tdx, /is unreachable/]
]
t.test('mistakes, and issuers that cannot be reached: 2, and one says why', async t => {
  for (const [name, args, stderr] of mistakes) {
    t.match(await polaris(['appraise', ...args]), { status: 2, stdout: '', stderr }, name)
  }
})

t.test('--json prints the checks for machines', async t => {
  const { stdout, status } = await polaris(['appraise', ...tdx, '--collateral', COLLATERAL, '--json'])
  t.equal(status, 0)
  const { verified, tee, checks } = JSON.parse(stdout) as {
    verified: boolean, tee: string, checks: Array<{ name: string, outcome: string }>
  }
  t.strictSame([verified, tee], [true, 'tdx'])
  t.ok(checks.some(({ name, outcome }) => name === 'tcb' && outcome === 'passed'))
})

t.test('recordings of production hardware verify at their time', { skip: absent('fixtures', 'tdx') }, async t => {
  const save = (...path: string[]) => file(shared('fixtures', ...path))
  for (const name of ['quote-1.bin', 'quote-2.bin']) {
    const args = ['tdx', '--quote', save('tdx', name), '--collateral', save('tdx', 'collateral.json')]
    t.match(
      await polaris(['appraise', ...args, '--at', '2026-06-10T01:48:55Z']), { status: 0, stdout: /verified: tdx/ }
    )
    t.match(await polaris(['appraise', ...args, '--at', '2026-08-10T01:48:55Z']), { status: 1, stdout: /✗ collateral/ })
  }
  const genoa = ['ark', 'ask', 'vcek'].map(name => save('snp-genoa', `${name}.der`))
  t.match(await polaris([
    'appraise', 'sev-snp', '--report', save('snp-genoa', 'report.bin'), '--certificates', ...genoa, '--at',
    '2026-06-01T00:00:00Z'
  ]), { status: 0 })
  const milan = [
    'sev-snp', '--report', save('snp-milan', 'report.bin'), '--certificates', save('snp-milan', 'vcek.der'),
    save('snp-milan', 'ask-ark.pem')
  ]
  t.match(
    await polaris(['appraise', ...milan, '--at', '2026-01-01T00:00:00Z']),
    { status: 1, stdout: /✗ debug[^]*1 of \d+ checks failed/ }
  )
})
