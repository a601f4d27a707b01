// A report of a real Milan chip, with its real chain to AMD's real root.
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { attestationDocument } from '../../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../../lib/protocols/base64url.ts'
import { verifyAttestation } from '../../../sdk/attestation/index.ts'
import { failed } from '../../fixtures/verdict.ts'

const folder = new URL('../../../../shared/fixtures/snp-milan/', import.meta.url)
const absent = !existsSync(folder) && '../shared/fixtures/snp-milan is not there'

t.test('the real report verifies up to AMD\'s pinned root', { skip: absent }, async t => {
  const pem = readFileSync(new URL('ask-ark.pem', folder), 'utf8')
  const chain = [...pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END/g)].map(([, body = '']) => Buffer.from(body, 'base64'))
  const nonce = new Uint8Array(16)
  const document = await attestationDocument({
    tee: 'sev-snp',
    nonce,
    cached: false,
    keys: [{ kind: 'tls-spki', value: Uint8Array.of(1) }],
    evidence: [['application/vnd.polaris.sev-snp-report', encodeBase64url(readFileSync(new URL('report.bin', folder)))]],
    endorsements: [readFileSync(new URL('vcek.der', folder)), ...chain].map(der => ['application/pkix-cert', encodeBase64url(der)] as const),
    issuedAt: new Date()
  })
  const verdict = await verifyAttestation(JSON.stringify(document), {
    version: 1,
    platforms: { 'sev-snp': { measurements: ['b07af9620f3b839b47996422ddec6058338951d984e312115131ea82705eaf5b6bdf8a9ece31a5a608eb0cf2e4872b01'], products: ['Milan'] } }
  }, { nonce, now: new Date('2026-01-01T00:00:00Z') })
  // It was made for other report data, in a guest that allows debugging; everything else holds.
  t.same(failed(verdict), ['bound', 'debug'])
  t.match(verdict.presented, { 'sev-snp': { products: ['Milan'], minimumTcb: { bootloader: 2, tee: 0, snp: 5, microcode: 68 } } })
})
