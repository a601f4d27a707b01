/** Without a network: from a disk, with a saved document and the key sets, lists and collateral that it takes. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { attestationDocument, bindingDigest } from '../../lib/protocols/attestation.ts'
import { encodeBase64url } from '../../lib/protocols/base64url.ts'
import { browsersFor } from '../fixtures/browsers.ts'
import { googleDeployment } from '../fixtures/google-attester.ts'
import { startPageSite, verify } from '../fixtures/verify-page.ts'

t.setTimeout(300_000)
const site = await startPageSite(t)
const nonce = new Uint8Array(32).fill(9)
const keys = [{ kind: 'ohttp-keys' as const, value: Uint8Array.of(1, 2, 3) }]
const google = await googleDeployment()
const fixture = (path: string) => readFileSync(new URL(`../fixtures/${path}`, import.meta.url))

async function googleDocument (): Promise<string> {
  const binding = await bindingDigest(nonce, keys)
  const { tee, evidence, endorsements } = await google.attester.evidence({ preimage: new Uint8Array(), binding })
  return JSON.stringify(
    await attestationDocument({ tee, nonce, cached: false, keys, evidence, endorsements, issuedAt: new Date() })
  )
}

async function documentOf (
  tee: 'sev-snp' | 'tdx', mediaType: string, evidence: Uint8Array, certificates: readonly Uint8Array[]
): Promise<string> {
  return JSON.stringify(await attestationDocument({
    tee,
    nonce,
    cached: false,
    keys,
    evidence: [[mediaType, encodeBase64url(evidence)]],
    endorsements: certificates.map(der => ['application/pkix-cert', encodeBase64url(der)] as const),
    issuedAt: new Date('2026-01-01T00:00:00Z')
  }))
}

const milan = await documentOf('sev-snp', 'application/vnd.polaris.sev-snp-report', fixture('snp-milan/report.bin'), [
  fixture('snp-milan/vcek.der'),
  ...[...fixture('snp-milan/ask-ark.pem').toString().matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END/g)].map(
    ([, body = '']) => Buffer.from(body, 'base64')
  )
])
const quote = await documentOf('tdx', 'application/vnd.polaris.tdx-quote', fixture('tdx/quote.bin'), [])

for (const { name, absent, open } of browsersFor(t)) {
  t.test(`${name}: from a disk, a saved document is appraised with the key sets that are given, and nobody is asked`, {
    skip: absent, timeout: 120_000
  }, async t => {
    google.present({})
    const { page, asked, complaints } = await open(t, site.file)
    const document = await googleDocument()
    // As key sets by issuer, and as the set of the one issuer that the policy trusts.
    for (const keySets of [google.keySets, Object.values(google.keySets)[0]]) {
      const shown = await verify(
        page, { policy: google.policy, files: { 'attestation.json': document, 'keys.json': JSON.stringify(keySets) } }
      )
      t.equal(shown.title, 'The saved evidence is accepted', shown.text)
      t.same(shown.checks.failed, [])
      t.ok(shown.checks.skipped.includes('nonce'))
      t.match(shown.text, 'It is no proof about what is running now.')
    }
    const answered = await verify(page, { nonce: encodeBase64url(nonce) })
    t.ok(answered.checks.passed.includes('nonce'))
    const stranger = await verify(page, { nonce: encodeBase64url(new Uint8Array(32)) })
    t.same(stranger.checks.failed, ['nonce'])

    const without = await verify(page, { files: { 'attestation.json': document }, nonce: '' })
    t.equal(without.title, 'No verdict')
    t.match(without.text, 'no network is used for a saved document; give what is missing as a file')
    t.same(asked.filter(url => !url.startsWith('file:')), [], 'and nobody was asked')
    t.same(complaints, [])
  })

  t.test(`${name}: genuine recordings of AMD and Intel are appraised as at their time, by their vendor's own roots`, {
    skip: absent, timeout: 120_000
  }, async t => {
    const { page, asked } = await open(t, site.file)
    // Both were made for other keys than those of this document, and the guest of the report may be debugged.
    const amd = await verify(page, {
      policy: { version: 1, insecure: true, platforms: { 'sev-snp': { allowDebug: true } } },
      files: { 'attestation.json': milan },
      at: '2026-01-01T00:00:00Z'
    })
    t.equal(amd.title, 'Refused')
    t.same(amd.checks.failed, ['bound'])
    for (const check of ['root', 'certificate-chain', 'report-signature', 'certificate-matches-report']) {
      t.ok(amd.checks.passed.includes(check), check)
    }
    t.match(amd.text, 'genuine at best for another proxy')
    t.match(amd.text, 'Your policy accepts any software')

    const intel = await verify(page, {
      policy: { version: 1, insecure: true, platforms: { tdx: {} } },
      files: { 'attestation.json': quote, 'collateral.json': fixture('tdx/collateral.json') },
      at: '2025-06-20 00:00'
    })
    for (const check of ['root', 'quote', 'collateral', 'tcb', 'revocation']) {
      t.ok(intel.checks.passed.includes(check), `${check}: ${intel.text}`)
    }
    t.ok(intel.checks.failed.includes('bound'))
    t.same(asked.filter(url => !url.startsWith('file:')), [])
  })
}
