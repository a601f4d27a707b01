/** The package's own files in a real browser: attestation is verified there, and loaded only where it is asked for. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { simulated } from '../../../../lib/platforms/local/simulated-evidence.ts'
import { attestationDocument, bindingDigest, reportData } from '../../../../lib/protocols/attestation.ts'
import { buildForBrowsers } from '../../../../sdk/build.ts'
import { noChromium, openPage } from '../../../fixtures/chromium.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { issuerKey } from '../../../fixtures/issuer.ts'
import { createSigstore } from '../../../fixtures/sigstore.ts'
import { leafCertificate, snpChain, snpReport } from '../../../fixtures/snp.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

/** What `page.evaluate` runs is the page's, with the package's files. */
type Sdk = typeof import('../../../../sdk/index.ts')
type Attestation = typeof import('../../../../sdk/attestation/index.ts')

const dist = t.testdir()
await buildForBrowsers(dist)

/** A page and the package's files beside it, without a bundler. */
async function startSite () {
  const server = createServer((request, response) => {
    const [, file] = /^\/(browser[\w-]*\.js)$/.exec(request.url ?? '') ?? []
    if (file === undefined) {
      response.setHeader('content-type', 'text/html').end(
        '<!doctype html><link rel="icon" href="data:,">'
      )
    } else {
      readFile(join(dist, file)).then(
        content => response.setHeader('content-type', 'text/javascript').end(content),
        () => response.writeHead(404).end()
      )
    }
  }).listen(0, 'localhost')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return `http://localhost:${(server.address() as AddressInfo).port}`
}

const site = await startSite()
const workload = await startWorkload(t)
const config = { workloadBaseUrl: workload.url, enableInputEncryption: true } as const

t.test('attestation: a policy that fits gets through, one that does not names the check, and the verifiers come late', {
  skip: noChromium, timeout: 120_000
}, async t => {
  const attester = await simulated()
  const proxy = await startProxy(t, config, { attester })
  const page = await openPage(t, site)
  const results = await page.evaluate(async ({ baseURL, root }) => {
    const { createPolarisFetch } = await import('/browser.js' as string) as Sdk
    const loaded = () => performance.getEntriesByType('resource').filter(
      ({ name }) => name.endsWith('/browser-attestation.js')
    ).length
    const outcome = (promise: Promise<Response>) => promise.then(
      response => String(response.status),
      (error: { code: string, message: string }) => `${error.code} ${error.message}`
    )
    const attestation = (roots: string[]) => ({
      version: 1, development: true, platforms: { simulated: { roots } }
    } as const)
    return {
      without: [await outcome(createPolarisFetch({ baseURL })('/')), loaded()],
      fitting: [await outcome(createPolarisFetch({ baseURL, attestation: attestation([root]) })('/')), loaded()],
      other: await outcome(createPolarisFetch({ baseURL, attestation: attestation(['A'.repeat(43)]) })(
        '/', { method: 'POST', body: 'secret' }
      ))
    }
  }, { baseURL: proxy.url, root: attester.root })
  t.same(results.without, ['200', 0])
  t.same(results.fitting, ['200', 1])
  t.match(results.other, /^ERR_ATTESTATION Attestation failed: root \(The development root is "/)
  t.notOk(workload.received.some(({ body }) => body.toString().includes('secret')))
})

t.test('an SEV-SNP report is verified with the browser\'s own Web Crypto', {
  skip: noChromium, timeout: 120_000
}, async t => {
  const chain = await snpChain()
  const nonce = new Uint8Array(32).fill(9)
  const keys = [{ kind: 'ohttp-keys' as const, value: Uint8Array.of(1, 2, 3) }]
  const report = Buffer.from(
    await snpReport(chain.leafKeys.privateKey, { reportData: reportData(await bindingDigest(nonce, keys)) })
  )
  const documentOf = async (report: Buffer) => JSON.stringify(await attestationDocument({
    tee: 'sev-snp',
    nonce,
    cached: false,
    keys,
    evidence: [['application/vnd.polaris.sev-snp-report', report.toString('base64url')]],
    endorsements: [await leafCertificate(chain), chain.ask.certificate, chain.ark.certificate].map(
      der => ['application/pkix-cert', Buffer.from(der).toString('base64url')] as const
    ),
    issuedAt: new Date()
  }))
  const changed = Buffer.from(report)
  changed[0x2f]! ^= 1
  const page = await openPage(t, site)
  const results = await page.evaluate(async ({ documents, rootHash }) => {
    const { verifyAttestation } = await import('/browser-attestation.js' as string) as Attestation
    return Promise.all(documents.map(async document => {
      const verdict = await verifyAttestation(document, {
        version: 1, platforms: { 'sev-snp': { measurements: ['aa'.repeat(48)], hostData: ['bb'.repeat(32)] } }
      }, {
        nonce: new Uint8Array(32).fill(9), amdRoots: { [rootHash]: 'Milan' }, now: new Date('2026-06-01T00:00:00Z')
      })
      return [verdict.verified, ...verdict.checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)]
    }))
  }, { documents: [await documentOf(report), await documentOf(changed)], rootHash: chain.rootHash })
  t.same(results, [[true], [false, 'report-signature']])
})

t.test('a Sigstore bundle is verified in the page, by a file that comes late', {
  skip: noChromium, timeout: 120_000
}, async t => {
  const page = await openPage(t, site)
  const digest = 'ab'.repeat(32)
  const at = new Date('2026-06-10T12:00:00Z')
  const seconds = at.getTime() / 1000
  const issuer = 'https://confidentialcomputing.googleapis.com'
  const key = await issuerKey('one')
  const token = await key.sign({
    iss: issuer,
    aud: 'polaris',
    iat: seconds,
    exp: seconds + 600,
    eat_nonce: 'recorded',
    secboot: true,
    hwmodel: 'GCP_AMD_SEV',
    swname: 'CONFIDENTIAL_SPACE',
    dbgstat: 'disabled-since-boot',
    submods: { confidential_space: { support_attributes: ['STABLE'] }, container: { image_digest: `sha256:${digest}` } }
  })
  const sigstore = createSigstore()
  const bundles = [sigstore.bundle(digest, { at }), createSigstore().bundle(digest, { at })]
  const given = { token, jwk: key.jwk, issuer, bundles, trustedRoot: sigstore.trustedRoot, time: at.getTime() }
  const results = await page.evaluate(async ({ token, jwk, issuer, bundles, trustedRoot, time }) => {
    const { appraise } = await import('/browser-attestation.js' as string) as Attestation
    const loaded = () => performance.getEntriesByType('resource').filter(
      ({ name }) => name.endsWith('/browser-sigstore.js')
    ).length
    const before = loaded()
    const policy = {
      version: 1,
      provenance: { repository: 'owner/name' },
      platforms: { 'google-confidential-space': { audience: 'polaris' } }
    } as const
    const pieces = { tee: 'google-confidential-space', evidence: [['application/eat+jwt', token]] } as const
    const failed = await Promise.all(bundles.map(async bundle => {
      const { checks } = await appraise(pieces, policy, {
        now: new Date(time), keySets: { [issuer]: { keys: [jwk] } }, provenance: { trustedRoot, bundles: [bundle] }
      })
      return checks.filter(({ outcome }) => outcome === 'failed').map(({ name, detail }) => `${name}: ${detail}`)
    }))
    return { before, after: loaded(), failed, buffer: 'Buffer' in globalThis }
  }, given)
  t.same([results.before, results.after, results.buffer], [0, 1, false])
  t.same(results.failed[0], [])
  t.match(results.failed[1], [/^provenance-signature: Sigstore refuses it/])
})
