// The verdict in one sentence, for people: a table for every platform, with and without devices, provenance and
// weakenings, and for every reason to refuse; and the facts that it is made of, from real recordings.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { attestationDocument } from '../../../lib/protocols/attestation.ts'
import { appraise, appraiseDocument, check, skipped, verdictSentence } from '../../../sdk/attestation/index.ts'
import type { AttestationPolicy, Machine, Verdict } from '../../../sdk/attestation/index.ts'
import { appraiseNvidia } from '../../../sdk/attestation/nvidia/index.ts'
import { reasonFor } from '../../../sdk/attestation/verdict/reasons.ts'
import { read } from '../../fixtures/documents.ts'
import { NO_GPU_RECORDING, gpuRecording } from '../../fixtures/nvidia.ts'
import { absent, shared } from '../../fixtures/shared.ts'

const now = new Date('2026-06-10T12:00:00Z')
const passed: Verdict = {
  verified: true,
  tee: 'sev-snp',
  checks: [check('nonce', true, '')],
  keys: [],
  presented: {},
  at: now,
  challenge: 'answered',
  machine: { name: 'AMD SEV-SNP virtual machine' },
  software: { known: 'built', repository: 'owner/name', ref: 'refs/tags/v1.2.0' }
}
const H100 = { vendor: 'NVIDIA', kind: 'GPU', count: 8, models: ['H100'] }
const google: Machine = { name: 'Intel TDX virtual machine', vouchedBy: 'Google' }
const ago = (minutes: number) => new Date(now.getTime() - minutes * 60_000)
const MACHINE = 'running in a genuine AMD SEV-SNP virtual machine'
const BUILT = 'Your requests can be read only by software built from owner/name at v1.2.0'
const JUST = '; checked just now.'

const verified: Array<[name: string, change: Partial<Verdict>, sentence: string]> = [
  ['a built image with GPUs', { devices: H100 }, `${BUILT}, ${MACHINE} with 8 genuine NVIDIA H100 GPUs${JUST}`],
  ['a built image without', {}, `${BUILT}, ${MACHINE}${JUST}`],
  ['one GPU', { devices: { ...H100, count: 1 } }, `${BUILT}, ${MACHINE} with 1 genuine NVIDIA H100 GPU${JUST}`],
  [
    'two kinds', { devices: { ...H100, models: ['H100', 'H200'] } },
    `${BUILT}, ${MACHINE} with 8 genuine NVIDIA H100 and H200 GPUs${JUST}`
  ],
  ['a branch', { software: { known: 'built', repository: 'owner/name', ref: 'refs/heads/main' } },
    `Your requests can be read only by software built from owner/name at the branch main, ${MACHINE}${JUST}`],
  [
    'a pinned image', { software: { known: 'pinned' } },
    `Your requests can be read only by the software that the policy pins, ${MACHINE}${JUST}`
  ],
  ['any image', { software: { known: 'any' } },
    'Your requests can be read only by software that the policy does not name, whatever it does with them, ' +
      `${MACHINE}${JUST}`],
  ['Confidential Space', { tee: 'google-confidential-space', machine: google },
    `${BUILT}, running, as Google attests, in a genuine Intel TDX virtual machine${JUST}`],
  ['a platform of a custom verifier', { tee: 'toy', machine: undefined },
    `${BUILT}, running in a genuine trusted execution environment of the kind toy${JUST}`],
  ['weakened', { weakenings: ['plaintext-accepted', 'v1-replay'] },
    `${BUILT}, ${MACHINE}; but its settings take back protections (plaintext-accepted, v1-replay)${JUST}`],
  ['not weakened', { weakenings: [] }, `${BUILT}, ${MACHINE}${JUST}`],
  ['a machine that can be looked into', { machine: { ...google, exposed: 'its operator can log in to' } },
    `Others may be able to read your requests: the policy accepts a machine that its operator can log in to${JUST}`],
  ['simulated', { tee: 'simulated' },
    `Your requests are not protected: the evidence is simulated, for development, and anybody can make it${JUST}`],
  ['a minute ago', { at: ago(1) }, `${BUILT}, ${MACHINE}; checked a minute ago.`],
  ['some minutes ago', { at: ago(7) }, `${BUILT}, ${MACHINE}; checked 7 minutes ago.`],
  ['long ago', { at: ago(600) }, `${BUILT}, ${MACHINE}; checked at 2026-06-10 02:00 UTC.`],
  [
    'from a cache', { challenge: 'none' },
    `${BUILT}, ${MACHINE}; checked just now, by evidence that was not made for you.`
  ],
  ['a recording', { challenge: 'recording' },
    `Requests could then be read only by software built from owner/name at v1.2.0, ${MACHINE}; from a recording, ` +
      'appraised as at 2026-06-10 12:00 UTC.'],
  [
    'words of the other side', { machine: { name: 'virtual\u001b[2J\u202emachine' } },
    `${BUILT}, running in a genuine virtual?[2J?machine${JUST}`
  ]
]
for (const [name, change, sentence] of verified) {
  t.test(`verified: ${name}`, async t => { t.equal(verdictSentence({ ...passed, ...change }, now), sentence) })
}

const NOTHING = 'Do not send anything confidential: nothing shows that only the expected software can read it, because '
const failures: Array<[names: string[], sentence: string, change?: Partial<Verdict>]> = [
  [['measurement'], `${NOTHING}it runs other software than the policy names${JUST}`],
  [['measurement', 'host-data'], `${NOTHING}it runs other software than the policy names${JUST}`],
  [
    ['bound', 'tcb'],
    `${NOTHING}nothing shows that the keys it offers are those of the machine, and for one more reason${JUST}`
  ],
  [
    ['bound', 'tcb', 'gpu-count'],
    `${NOTHING}nothing shows that the keys it offers are those of the machine, and for 2 more reasons${JUST}`
  ],
  [['provenance-repository'], `${NOTHING}its software was not built from the source that the policy names${JUST}`],
  [['toy-colour'], `${NOTHING}toy-colour failed (detail)${JUST}`],
  [
    ['platform'], `Do not send anything confidential: the evidence is simulated, which proves nothing${JUST}`,
    { tee: 'simulated' }
  ],
  [
    ['platform'],
    `Do not send anything confidential: this deployment does not run in a trusted execution environment${JUST}`,
    { tee: 'none' }
  ],
  [[], `Do not send anything confidential: nothing was proven${JUST}`]
]
for (const [names, sentence, change] of failures) {
  t.test(`refused by ${names.join(' and ') || 'nothing'}`, async t => {
    const checks = [check('nonce', true, ''), ...names.map(name => check(name, false, 'detail')), skipped('x', '')]
    t.equal(verdictSentence({ ...passed, ...change, verified: false, checks, devices: H100 }, now), sentence)
  })
}

t.test('each check that the documents list has its reason', async t => {
  const table = read('docs/attestation-policy.md').split(/^## Checks$/m)[1]?.split(/^## /m)[0] ?? ''
  const names = [...table.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(
    ([, cell = '']) => [...cell.matchAll(/`([a-z-]+)`/g)].map(([, name = '']) => name)
  )
  t.ok(names.length > 40)
  for (const name of new Set(names)) t.notMatch(reasonFor(check(name, false, 'detail')), /failed \(detail\)/, name)
})

const milan = (name: string) => readFileSync(new URL(`../../fixtures/snp-milan/${name}`, import.meta.url))
const open = (platforms: AttestationPolicy['platforms']): AttestationPolicy => ({
  version: 1, insecure: true, platforms
})

t.test('a recorded report whose guest can be debugged says so', async t => {
  const der = (pem: string) => Buffer.from(pem.replace(/-----.*-----|\s/g, ''), 'base64').toString('base64url')
  const chain = milan('ask-ark.pem').toString().split(/(?<=-----END CERTIFICATE-----)/).slice(0, 2).map(der)
  const verdict = await appraise({
    tee: 'sev-snp',
    evidence: [['application/vnd.polaris.sev-snp-report', milan('report.bin').toString('base64url')]],
    endorsements: [milan('vcek.der').toString('base64url'), ...chain].map(
      value => ['application/pkix-cert', value] as const
    )
  }, open({ 'sev-snp': { allowDebug: true } }), { now })
  t.equal(verdictSentence(verdict),
    'Others may be able to read your requests: the policy accepts a machine that its host can look into; from a ' +
      'recording, appraised as at 2026-06-10 12:00 UTC.')
})

t.test('a recorded quote', { skip: absent('fixtures', 'tdx') }, async t => {
  const collateral = JSON.parse(shared('fixtures', 'tdx', 'collateral.json').toString())
  const at = new Date('2026-06-10T01:48:55Z')
  const pieces = {
    tee: 'tdx',
    evidence: [
      ['application/vnd.polaris.tdx-quote', shared('fixtures', 'tdx', 'quote-1.bin').toString('base64url')] as const
    ]
  }
  const verdict = await appraise(pieces, open({ tdx: {} }), { now: at, platforms: { tdx: { collateral } } })
  t.equal(verdictSentence(verdict),
    'Requests could then be read only by software that the policy does not name, whatever it does with them, ' +
    'running in a genuine Intel TDX virtual machine; from a recording, appraised as at 2026-06-10 01:48 UTC.')
  const unknown = await appraise(pieces, open({ tdx: { withoutCollateral: true } }), { now: at })
  t.match(verdictSentence(unknown), /^Others may be able to read your requests: .* may be revoked/)
})

const recording = gpuRecording()
t.test('recorded GPUs are called what they are sold as', recording ? {} : { skip: NO_GPU_RECORDING }, async t => {
  if (!recording) return
  const { devices } = await appraiseNvidia(recording.request, { nonce: recording.request.nonce, now: recording.when })
  t.same(devices, { vendor: 'NVIDIA', kind: 'GPU', count: 8, models: ['H200'] }, 'board G520.0280, chip 895')
})

t.test('a document without evidence', async t => {
  const nonce = new Uint8Array(16)
  const keys = [{ kind: 'ohttp-keys' as const, value: Uint8Array.of(1) }]
  const document = await attestationDocument(
    { tee: 'none', nonce, cached: false, keys, evidence: [], endorsements: [], issuedAt: now }
  )
  const verdict = await appraiseDocument(JSON.stringify(document), open({ tdx: {} }), { now })
  t.match(
    verdictSentence(verdict, now),
    /^Do not send anything confidential: this deployment does not run in a trusted execution environment/
  )
})
