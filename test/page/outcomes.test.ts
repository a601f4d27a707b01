/** What people see in real browsers: verified, refused, simulated, unreachable, and no proxy at all. */
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { simulated } from '../../lib/platforms/local/simulated-evidence.ts'
import { browsersFor } from '../fixtures/browsers.ts'
import { googleDeployment } from '../fixtures/google-attester.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { createSigstore } from '../fixtures/sigstore.ts'
import { startPageSite, verify } from '../fixtures/verify-page.ts'
import { startWorkload } from '../fixtures/workload.ts'

t.setTimeout(300_000)
const site = await startPageSite(t)
const workload = await startWorkload(t)
const config = {
  workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true, attestationRateLimit: 10_000
} as const
const google = await googleDeployment()
const proxy = await startProxy(t, config, { attester: google.attester })
const files = { 'google-keys.json': JSON.stringify(google.keySets) }

for (const { name, absent, open } of browsersFor(t)) {
  t.test(`${name}: a proxy that fits is verified, and its keys are shown`, {
    skip: absent, timeout: 120_000
  }, async t => {
    google.present({})
    const { page, complaints } = await open(t, site.url)
    const { title, sentence, checks, text } = await verify(page, { proxy: proxy.url, policy: google.policy, files })
    t.equal(title, 'Verified', text)
    t.match(sentence, /^Your requests can be read only by .*checked just now/)
    t.same(checks.failed, [])
    for (const check of ['nonce', 'keys', 'binding', 'signature', 'bound', 'image', 'project']) {
      t.ok(checks.passed.includes(check), check)
    }
    t.match(text, /Is the image that runs one that your policy names\?/)
    t.match(text, /ohttp-keys SHA-256 [0-9a-f]{64}/)
    t.match(text, /What a verdict does not say/)
    t.equal(await page.evaluate('document.activeElement.id'), 'verdict', 'the focus is on the verdict')
    t.equal(await page.locator('.banner.good').count(), 1)
    t.same(complaints, [])
  })

  t.test(`${name}: a proxy that does not fit is refused, and each failed check is explained`, {
    skip: absent, timeout: 180_000
  }, async t => {
    const { page, complaints } = await open(t, site.url)
    const cases: ReadonlyArray<readonly [
      check: string, explanation: string, claims: Record<string, unknown>, container?: Record<string, unknown>
    ]> = [
      [
        'image', 'The digest is the fingerprint of the image. Another one is other software.', {},
        { image_digest: `sha256:${'cd'.repeat(32)}` }
      ],
      ['environment', 'A setting can decide where requests go', {}, { env_override: { LD_PRELOAD: '/x' } }],
      ['command', 'Another command line can run other code', {}, { cmd_override: ['/bin/sh'] }],
      [
        'service-account', 'The account shows who deployed it.',
        { google_service_accounts: ['other@elsewhere.iam.gserviceaccount.com'] }
      ],
      ['hardware', 'Ordinary machines can be inspected', { hwmodel: 'GCP_SHIELDED_VM' }],
      ['debug', 'the operator of the machine can read everything in its memory', { dbgstat: 'enabled' }],
      ['software', 'Another system may let its operator log in', { swname: 'GCE' }],
      ['secure-boot', 'Otherwise something else may have been started first.', { secboot: false }],
      ['audience', 'could otherwise be reused here', { aud: 'elsewhere' }],
      ['issuer', 'Only those of issuers that you trust count.', { iss: 'https://elsewhere.example' }],
      ['bound', 'genuine at best for another proxy', { eat_nonce: 'A'.repeat(43) }],
      ['validity', 'A wrong clock on this machine looks the same.', { exp: 1_700_000_000 }],
      [
        'freshness', 'Old evidence says nothing about what is running today.',
        { iat: Math.floor(Date.now() / 1000) - 1000, nbf: 1_700_000_000 }
      ]
    ]
    // The second browser shows what the first does; a few are enough to know.
    for (const [check, explanation, claims, container] of name === 'Firefox' ? cases.slice(0, 3) : cases) {
      google.present(claims, container)
      const { title, sentence, checks, text } = await verify(page, { proxy: proxy.url, policy: google.policy, files })
      t.equal(title, 'Refused', check)
      t.same(checks.failed, [check])
      t.ok(text.includes(explanation), `${check}: ${text.slice(0, 600)}`)
      t.notMatch(sentence, /^Your requests can be read only by/)
      t.match(text, 'Nothing vouches for these keys: do not encrypt to them.')
    }
    t.same(complaints, [])
  })

  t.test(`${name}: a policy can name the repository, and the sentence does`, {
    skip: absent, timeout: 120_000
  }, async t => {
    google.present({})
    const sigstore = createSigstore()
    const { page, asked, complaints } = await open(t, site.url)
    const policyFor = (repository: string) => ({
      version: 1,
      provenance: { repository, trustedRoot: sigstore.trustedRoot },
      platforms: { 'google-confidential-space': { audience: 'polaris-secure-proxy' } }
    })
    const bundle = JSON.stringify(sigstore.bundle('ab'.repeat(32)))
    const built = await verify(
      page, { proxy: proxy.url, policy: policyFor('owner/name'), files: { ...files, 'bundle.json': bundle } }
    )
    t.equal(built.title, 'Verified', built.text)
    t.match(built.sentence, 'software built from owner/name at v1.0.0')
    t.ok(built.checks.passed.includes('provenance-signature'))
    const other = await verify(page, { policy: policyFor('owner/other') })
    t.equal(other.title, 'Refused')
    t.ok(other.checks.failed.includes('provenance-repository'))
    t.match(other.text, 'Another repository holds other source.')
    const without = await verify(page, { policy: policyFor('owner/name'), files })
    t.equal(without.title, 'Refused')
    t.same(without.checks.failed, ['provenance-bundle'])
    t.same(asked.filter(url => !url.startsWith(site.url) && !url.startsWith(proxy.url)), [])
    t.same(complaints, [])
  })

  t.test(`${name}: a proxy that accepts plaintext is not shown in green`, {
    skip: absent, timeout: 120_000
  }, async t => {
    google.present({})
    const { url } = await startProxy(t, { ...config, enableInputEncryption: false }, { attester: google.attester })
    const { page } = await open(t, site.url)
    const { title, sentence } = await verify(page, { proxy: url, policy: google.policy, files })
    t.equal(title, 'Accepted by your policy, with reservations')
    t.match(sentence, 'plaintext-accepted')
    t.equal(await page.locator('.banner.good').count(), 0)
  })

  t.test(`${name}: simulated evidence is never shown as a proof`, { skip: absent, timeout: 120_000 }, async t => {
    const attester = await simulated()
    const { url } = await startProxy(t, config, { attester })
    const { page } = await open(t, site.url)
    const production = await verify(page, { proxy: url, policy: google.policy })
    t.equal(production.title, 'Refused')
    t.same(production.checks.failed, ['platform'])
    const policy = { version: 1, development: true, platforms: { simulated: { roots: [attester.root] } } }
    const development = await verify(page, { proxy: url, policy })
    t.equal(development.title, 'Simulated evidence: nothing is proven')
    t.match(development.sentence, 'simulated')
    t.match(development.text, 'do not send anything that matters')
    t.equal(await page.locator('.banner.good').count(), 0)
  })

  t.test(`${name}: without an answer there is no verdict, and the page says what to do`, {
    skip: absent, timeout: 120_000
  }, async t => {
    const { page } = await open(t, site.url)
    const { policy } = google
    const unreachable = await verify(page, { proxy: 'http://127.0.0.1:9', policy })
    t.equal(unreachable.title, 'No verdict')
    t.match(unreachable.sentence, 'could not be reached')
    t.match(unreachable.text, 'http://127.0.0.1:9/polaris-container/attestation is unreachable')
    t.match(unreachable.text, 'POLARIS_CONTAINER_CORS_ORIGIN')

    const other = createServer((request, response) => {
      response.setHeader('access-control-allow-origin', '*')
      if (request.url?.startsWith('/busy')) response.writeHead(429).end()
      else if (request.url?.startsWith('/down')) response.writeHead(503).end()
      else if (request.url?.startsWith('/login')) response.end('<title>Log in</title>')
      else response.writeHead(404).end()
    }).listen(0, '127.0.0.1')
    await once(other, 'listening')
    t.teardown(() => { other.closeAllConnections(); other.close() })
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
    for (const [path, sentence] of [
      ['', 'There is no proxy at this address'], ['/busy', 'asked too often'], ['/down', 'no evidence at present'],
      ['/login', 'not an attestation document']
    ] as const) {
      const { title, text } = await verify(page, { proxy: url + path, policy })
      t.equal(title, 'No verdict')
      t.match(text, sentence, path)
    }
  })

  t.test(`${name}: where the keys of an issuer cannot be had, the page says how to hand them over`, {
    skip: absent, timeout: 120_000
  }, async t => {
    google.present({})
    const { page } = await open(t, site.url)
    await page.route('https://confidentialcomputing.googleapis.com/**', route => route.abort())
    const { title, text } = await verify(page, { proxy: proxy.url, policy: google.policy })
    t.equal(title, 'No verdict')
    t.match(text, 'https://confidentialcomputing.googleapis.com/.well-known/openid-configuration is unreachable')
    t.match(text, 'give the file under "Files in place of the network"')
  })
}
