// Evidence of GPUs of our own, with a root and a service of our own: what is malformed, incomplete or of another device
// is refused, wherever it is cut and whatever is in it.
import fc from 'fast-check'
import t from 'tap'
import { sha256 } from '../../../../lib/protocols/attestation.ts'
import { appraiseNvidia } from '../../../../sdk/attestation/nvidia/index.ts'
import { parseGpuChain } from '../../../../sdk/attestation/nvidia/certificates.ts'
import { GpuEvidenceError, parseGpuEvidence } from '../../../../sdk/attestation/nvidia/spdm.ts'
import { ecdsaSignature } from '../../../../sdk/attestation/x509/der.ts'
import { certificate, createGpuService, evidence, pem } from '../../../fixtures/gpu.ts'
import type { CertificateOptions, EvidenceParts, Issued } from '../../../fixtures/gpu.ts'

const now = new Date('2026-06-10T00:00:00Z')
const nonce = 'ab'.repeat(32)
const firmwareId = Buffer.alloc(48, 3)
const root = certificate('Root of ours')
const rootHash = Buffer.from(await sha256(Uint8Array.from(root.der))).toString('hex')
const identity = certificate('GB100 Identity', root)

interface Scene {
  chip?: Issued
  leaf?: CertificateOptions
  evidence?: EvidenceParts
  nonce?: string
}

let serial = 1
function createGpu (
  { chip = certificate('GB100 A01 FSP BROM', identity), leaf, evidence: parts, nonce: answered = nonce }: Scene = {}
) {
  const id = serial++
  const own = certificate(
    'GB100 A01 FSP FMC LF', chip, { authority: false, firmwareId, serial: Buffer.of(id), ...leaf }
  )
  return {
    ueid: String(id),
    entry: {
      evidence: evidence(answered, own.privateKey, { firmwareId, ...parts }).toString('base64'),
      certificate: Buffer.from(pem(own, chip, identity, root)).toString('base64')
    }
  }
}

async function failing (entries: unknown[], options: object = {}): Promise<string[]> {
  const { checks } = await appraiseNvidia(
    { arch: 'BLACKWELL', nonce, evidence_list: entries }, { nonce, now, root: rootHash, ...options }
  )
  return checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)
}

const scenes: Array<[name: string, checks: string[], scene: Scene]> = [
  ['genuine ones pass', [], {}],
  ['a certificate that has expired', ['gpu-certificates'], { leaf: { to: new Date('2026-01-01') } }],
  [
    'an issuer that may not issue', ['gpu-certificates'],
    { chip: certificate('GB100 A01 FSP BROM', identity, { authority: false }) }
  ],
  [
    'an issuer of the same name', ['gpu-certificates'],
    { chip: certificate('GB100 A01 FSP BROM', certificate('GB100 Identity', root)) }
  ],
  ['another device of NVIDIA\'s', ['gpu-model'], { chip: certificate('LS10 A01 FSP BROM', identity) }],
  ['another nonce', ['gpu-nonce'], { nonce: '00'.repeat(32) }],
  ['other firmware', ['gpu-firmware'], { evidence: { firmwareId: Buffer.alloc(48, 4) } }],
  ['an empty firmware digest', ['gpu-firmware'], { evidence: { firmwareId: Buffer.alloc(0) } }],
  ['no measurement', ['gpu-evidence', 'gpu-model', 'gpu-driver', 'gpu-vbios'], { evidence: { measurements: [] } }],
  [
    'a driver version that is no text', ['gpu-evidence', 'gpu-model', 'gpu-driver', 'gpu-vbios'],
    { evidence: { driver: Buffer.from('580\0.1') } }
  ],
  [
    'a VBIOS version of another length', ['gpu-evidence', 'gpu-model', 'gpu-driver', 'gpu-vbios'],
    { evidence: { vbios: Buffer.alloc(7) } }
  ]
]
for (const [name, checks, scene] of scenes) {
  t.test(name, async t => {
    t.same(await failing([createGpu(scene).entry, createGpu().entry].slice(0, checks.length > 1 ? 1 : 2)), checks)
  })
}

t.test('one that cannot be read does not hide what is wrong with the others', async t => {
  const bad = { evidence: 'AAAA', certificate: '' }
  t.same(await failing([bad, createGpu({ nonce: '00'.repeat(32) }).entry]), ['gpu-evidence', 'gpu-nonce'])
})

t.test('what is no request is refused as a whole', async t => {
  const { entry } = createGpu()
  for (const request of [
    '', '{', null, [], {}, { nonce, evidence_list: [] }, { nonce: 'zz', evidence_list: [entry] },
    { nonce, evidence_list: Array(129).fill(entry) }
  ]) {
    const { checks, presented } = await appraiseNvidia(request, { nonce, now, root: rootHash })
    t.same(checks.map(({ name, outcome }) => `${name} ${outcome}`), ['gpu-evidence failed'])
    t.same(presented, {})
  }
  for (const item of [null, 1, [], {}, { ...entry, evidence: 1 }, { ...entry, certificate: '?' }]) {
    t.ok((await failing([item])).includes('gpu-evidence'))
  }
})

t.test('evidence cut at any byte is refused with an error of its own', t => {
  const bytes = Buffer.from(createGpu().entry.evidence, 'base64')
  for (let length = 0; length < bytes.length; length++) {
    t.throws(() => parseGpuEvidence(bytes.subarray(0, length)), GpuEvidenceError)
  }
  t.throws(() => parseGpuEvidence(Buffer.concat([bytes, Buffer.of(0)])), GpuEvidenceError)
  t.throws(() => parseGpuEvidence(Buffer.alloc(64 * 1024 + 1)), GpuEvidenceError)
  t.end()
})

t.test('whatever the bytes, parsers give a result or an error of their own', t => {
  const bytes = Buffer.from(createGpu().entry.evidence, 'base64')
  const own = (parse: () => unknown) => {
    try {
      parse()
    } catch (error) {
      if (!(error instanceof GpuEvidenceError)) throw error
    }
  }
  fc.assert(fc.property(fc.array(
    fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }
  ), changes => {
    const copy = Buffer.from(bytes)
    for (const [at, value] of changes) copy[at] = value
    own(() => parseGpuEvidence(copy))
  }), { numRuns: 500 })
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), random => own(() => parseGpuEvidence(random))))
  fc.assert(fc.property(fc.string(), text => own(() => parseGpuChain(`-----BEGIN CERTIFICATE-----\n${text}`))))
  fc.assert(fc.property(
    fc.uint8Array({ maxLength: 110 }),
    der => [undefined, 96].includes(ecdsaSignature(Uint8Array.from(der), 48)?.length)
  ))
  t.end()
})

t.test('signatures are strict DER', t => {
  const der = (hex: string) => ecdsaSignature(Uint8Array.from(Buffer.from(hex, 'hex')), 48)
  t.same(der('3006020101020102')?.filter(byte => byte !== 0), Uint8Array.of(1, 2))
  t.same(der('30080202008002020081')?.filter(byte => byte !== 0), Uint8Array.of(0x80, 0x81))
  for (const hex of [
    '', '30', '3000', '3006020180020102', '3007020200010201ff', '30060201010201', '300602010102010200',
    '3106020101020102', `3036${'0231'}${'01'.repeat(49)}020101`
  ]) {
    t.equal(der(hex), undefined, hex)
  }
  t.end()
})

const service = createGpuService()
const claims = (ueid: string) => ({
  ueid,
  hwmodel: 'GB100 A01 FSP BROM',
  'x-nvidia-gpu-driver-version': '580.1.2',
  'x-nvidia-gpu-vbios-version': '96.00.cf.00.02',
  'x-nvidia-gpu-attestation-report-cert-chain': { 'x-nvidia-cert-status': 'valid', 'x-nvidia-cert-ocsp-status': 'good' }
})
const answers: Array<[name: string, checks: string[], device: object, overall?: object]> = [
  ['a good one passes', [], {}],
  ['a GPU in developer mode, overall true', ['nras-debug'], { dbgstat: 'enabled' }],
  ['measurements that differ, overall true', ['nras-measurements'], { measres: 'fail' }],
  ['no secure boot, overall true', ['nras-secure-boot'], { secboot: false }],
  ['a claim that is absent', ['nras-secure-boot'], { secboot: undefined }],
  ['a check of NVIDIA\'s that failed', ['nras-claims'], { 'x-nvidia-gpu-driver-rim-cert-validated': false }],
  ['a revoked certificate', ['nras-claims'], {
    'x-nvidia-gpu-driver-rim-cert-chain': { 'x-nvidia-cert-status': 'valid', 'x-nvidia-cert-ocsp-status': 'revoked' }
  }],
  [
    'an expired certificate', ['nras-claims'],
    { 'x-nvidia-gpu-driver-rim-cert-chain': { 'x-nvidia-cert-status': 'expired' } }
  ],
  ['records that do not match', ['nras-claims'], { 'x-nvidia-mismatch-measurement-records': [{ index: 1 }] }],
  ['another nonce in one token', ['nras-nonce'], { eat_nonce: '00'.repeat(32) }],
  ['another GPU', ['nras-devices'], { ueid: '1' }],
  ['another driver', ['nras-devices'], { 'x-nvidia-gpu-driver-version': '580.1.3' }],
  ['an overall result that is false', ['nras-result'], {}, { 'x-nvidia-overall-att-result': false }],
  ['an overall result that is text', ['nras-result'], {}, { 'x-nvidia-overall-att-result': 'true' }],
  ['parts that are not named', ['nras-parts'], {}, { submods: undefined }],
  ['a part too many', ['nras-parts'], {}, { submods: { 'GPU-0': ['DIGEST', ['SHA-256', '00']], 'GPU-9': 1 } }]
]
for (const [name, checks, device, overall] of answers) {
  t.test(`of the service's answer: ${name}`, async t => {
    const gpu = createGpu()
    const answer = await service.answer(nonce, [{ ...claims(gpu.ueid), ...device }], now, { ...overall })
    t.same(await failing([gpu.entry], { answer, keySet: service.keySet, policy: { appraisal: 'nras' } }), checks)
  })
}

t.test('a token of another issuer, another algorithm or no form is refused', async t => {
  const gpu = createGpu()
  const foreign = createGpuService('https://nras.example')
  const answer = await foreign.answer(nonce, [claims(gpu.ueid)], now)
  t.same(await failing([gpu.entry], { answer, keySet: foreign.keySet }), ['nras-signature'])
  const [overall, gpus] = await service.answer(nonce, [claims(gpu.ueid)], now) as [
    [string, string], Record<string, string>
  ]
  const none = `${Buffer.from('{"alg":"none","kid":"ours"}').toString('base64url')}.${overall[1].split('.')[1]}.`
  t.ok(
    (await failing([gpu.entry], { answer: [['JWT', none], gpus], keySet: service.keySet })).includes('nras-signature')
  )
  for (const odd of [
    [], [overall], [['JWT', 1], gpus], [overall, []], [overall, {}], [overall, { 'GPU-0': 'x' }],
    [['jwt', overall[1]], gpus], 1
  ]) {
    t.same(await failing([gpu.entry], { answer: odd, keySet: service.keySet }), ['nras-answer'])
  }
})
