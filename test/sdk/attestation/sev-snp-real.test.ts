// A genuine report of a Milan chip, with its genuine chain to AMD's root. It was made for other report data, in a guest
// that may be debugged, so that `bound` and `debug` fail throughout; everything else holds.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { attestationDocument } from '../../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'
import { verifyAttestation } from '../../../sdk/attestation/index.ts'
import type { SnpPolicy } from '../../../sdk/attestation/index.ts'
import { failed } from '../../fixtures/verdict.ts'

const read = (name: string) => readFileSync(new URL(`../../fixtures/snp-milan/${name}`, import.meta.url))
const genuine = read('report.bin')
const vcek = read('vcek.der')
const [ask = '', ark = ''] = [
  ...read('ask-ark.pem').toString().matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END/g)
].map(([, body = '']) => body)
const measurement = 'b07af9620f3b839b47996422ddec6058338951d984e312115131ea82705eaf5b6bdf8a9ece31a5a608eb0cf2e4872b01'

interface Scene {
  report?: Buffer
  vcek?: Buffer
  now?: string
  policy?: SnpPolicy
}

async function appraise (scene: Scene = {}) {
  const nonce = new Uint8Array(16)
  const document = await attestationDocument({
    tee: 'sev-snp',
    nonce,
    cached: false,
    keys: [{ kind: 'tls-spki', value: Uint8Array.of(1) }],
    evidence: [['application/vnd.polaris.sev-snp-report', encodeBase64url(scene.report ?? genuine)]],
    endorsements: [scene.vcek ?? vcek, Buffer.from(ask, 'base64'), Buffer.from(ark, 'base64')].map(
      der => ['application/pkix-cert', encodeBase64url(der)] as const
    ),
    issuedAt: new Date()
  })
  const policy = {
    measurements: [measurement],
    products: ['Milan'],
    minimumTcb: { bootloader: 2, tee: 0, snp: 5, microcode: 68 },
    ...scene.policy
  } satisfies SnpPolicy
  return verifyAttestation(
    JSON.stringify(document), { version: 1, platforms: { 'sev-snp': policy } },
    { nonce, now: new Date(scene.now ?? '2026-01-01T00:00:00Z') }
  )
}

function changed (octets: Buffer, at: number, bit = 0): Buffer {
  const copy = Buffer.from(octets)
  copy[at]! ^= 1 << bit
  return copy
}

t.test('it verifies up to AMD\'s pinned root', async t => {
  const verdict = await appraise()
  t.same(failed(verdict), ['bound', 'debug'])
  t.match(verdict.presented, {
    'sev-snp': {
      measurements: [measurement], products: ['Milan'], minimumTcb: { bootloader: 2, tee: 0, snp: 5, microcode: 68 }
    }
  })
  t.same(failed(await appraise({ policy: { allowDebug: true } })), ['bound'])
})

const cases: Array<[check: string, scene: Scene]> = [
  ['measurement', { policy: { measurements: ['00'.repeat(48)] } }],
  ['tcb', { policy: { minimumTcb: { microcode: 69 } } }],
  ['product', { policy: { products: ['Genoa'] } }],
  ['certificate-validity', { now: '2029-09-25T00:00:00Z' }],
  ['certificate-validity', { now: '2022-09-23T00:00:00Z' }],
  // FAMILY_ID, which nothing reads.
  ['report-signature', { report: changed(genuine, 0x10) }],
  // R.
  ['report-signature', { report: changed(genuine, 0x2a0) }],
  // The certificate's signature ends it.
  ['certificate-chain', { vcek: changed(vcek, vcek.length - 1) }]
]
for (const [check, scene] of cases) {
  t.test(`${check} fails, and what failed before`, async t => {
    t.same(failed(await appraise(scene)).filter(name => name !== 'bound' && name !== 'debug'), [check])
  })
}

t.test('each flipped bit of it is refused', async t => {
  for (let at = 0; at < genuine.length; at += 5) {
    const checks = failed(await appraise({ report: changed(genuine, at, at % 8) }))
    if (!checks.some(name => name === 'report-signature' || name === 'report')) t.fail(`octet ${at}`)
  }
})
