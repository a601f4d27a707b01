// Azure Attestation asked without a sidecar, over TLS, with reports of a directory that behaves like configfs.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import t from 'tap'
import type { Test } from 'tap'
import { RemoteError } from '../../../../lib/remote/error.ts'
import { configFrom } from '../../../../lib/config/config.ts'
import type { ConfigInput } from '../../../../lib/config/config.ts'
import { attesterFrom } from '../../../../lib/platforms/choose.ts'
import { builtIn } from '../../../../lib/platforms/registry.ts'
import { TSM_REPORTS } from '../../../../lib/platforms/linux/settings.ts'
import { maaDirect } from '../../../../lib/platforms/azure/maa-direct.ts'
import type { MaaDirectOptions } from '../../../../lib/platforms/azure/maa-direct.ts'
import { localService, unsignedToken } from '../../../fixtures/local-service.ts'
import { startMaa } from '../../../fixtures/maa.ts'
import type { MaaFault } from '../../../fixtures/maa.ts'
import { snpMachine } from '../../../fixtures/snp-machine.ts'

const machine = await snpMachine()
const maa = await startMaa(machine.root)
const runtimeData = Buffer.from(
  JSON.stringify({ keys: [{ kty: 'RSA', n: 'AQAB', e: 'AQAB', kid: 'k', key_ops: ['encrypt'] }], more: 1 })
)
const { vcek, ask, ark } = machine.certificates

t.teardown(() => Promise.all([machine.close(), maa.close()]))
t.beforeEach(() => {
  machine.auxblob = machine.table
  machine.provider = 'sev_guest'
  maa.faults.length = maa.tokens.length = maa.endorsements.length = maa.objections.length = 0
})

const tokens = (options: Partial<MaaDirectOptions> = {}) => maaDirect(
  { maaEndpoint: maa.host, tsmReports: machine.path, ...options }
)

/** What Azure puts beside a confidential container. */
function securityContext (t: Test, certificates: string, uvm?: string): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  return t.testdir({
    'host-amd-cert-base64': base64(certificates),
    ...uvm !== undefined && { 'reference-info-base64': base64(uvm) },
    'security-policy-base64': base64('package policy')
  })
}

t.test('a server that cannot prove its name hears nothing', async t => {
  await t.rejects(
    tokens()(runtimeData), { code: 'ERR_REMOTE', transient: false, providerCode: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }
  )
  setDefaultCACertificates([...getCACertificates(), maa.ca])
  const elsewhere = maa.host.replace('localhost', '127.0.0.1')
  await t.rejects(
    tokens({ maaEndpoint: elsewhere })(runtimeData),
    { code: 'ERR_REMOTE', transient: false, providerCode: 'ERR_TLS_CERT_ALTNAME_INVALID' }
  )
  t.same([maa.tokens, maa.objections], [[], []])
})

t.test('the report, its certificates from leaf to root and the runtime data become a token about them', async t => {
  for (const maaEndpoint of [maa.host, `https://${maa.host}/`]) {
    const token = await tokens({ maaEndpoint })(runtimeData)
    t.match(
      maa.claims(token),
      { 'x-ms-sevsnpvm-hostdata': 'bb'.repeat(32), 'x-ms-runtime': JSON.parse(runtimeData.toString()) }
    )
    t.same(maa.endorsements.at(-1), [], 'no utility VM, no endorsement of one')
  }
  t.same(await machine.entries(), [])
})

t.test('the certificates come from the host, from Azure\'s security context, or from a file, and may come ' +
  'twice', async t => {
  const cache = JSON.stringify(
    { vcekCert: vcek, tcbm: 'D208000000000103', certificateChain: ask + ark, cacheControl: '86400' }
  )
  const file = join(t.testdir(), 'chain.pem')
  writeFileSync(file, ark + vcek + ask)
  for (const [name, auxblob, options] of [
    ['host', machine.table, {}],
    ['host, and an empty security context', machine.table, { azureSecurityContext: t.testdir() }],
    ['file', undefined, { certificatesFile: file }],
    ['host and file', machine.table, { certificatesFile: file }]
  ] as const) {
    machine.auxblob = auxblob
    if (name.includes('file')) writeFileSync(file, ark + vcek + ask)
    await t.resolves(tokens(options)(runtimeData), name)
  }
  for (const [name, auxblob, certificates] of [
    ['cache', undefined, cache], ['PEM', undefined, vcek + ask + ark], ['cache and host', machine.table, cache]
  ] as const) {
    machine.auxblob = auxblob
    await t.resolves(tokens({ azureSecurityContext: securityContext(t, certificates, 'cose') })(runtimeData), name)
    t.same(maa.endorsements.at(-1), [Buffer.from('cose')], 'with the endorsement of the utility VM')
  }
  t.same(maa.objections, [])
})

t.test('what this machine lacks is told, and nothing is asked', async t => {
  machine.auxblob = undefined
  await t.rejects(
    tokens()(runtimeData),
    { code: 'ERR_REMOTE', transient: false, providerCode: 'NO_CERTIFICATES', advice: /CERTIFICATES_FILE/ }
  )
  await t.rejects(tokens(
    { azureSecurityContext: securityContext(t, '-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n') }
  )(runtimeData), { code: 'ERR_REMOTE', transient: false, providerCode: 'CERTIFICATE' })
  await t.rejects(
    tokens({ azureSecurityContext: t.testdir({ 'host-amd-cert-base64': {} }) })(runtimeData),
    { code: 'ERR_REMOTE', transient: false, providerCode: 'EISDIR' }
  )
  await t.rejects(tokens({ tsmReports: join(machine.path, 'missing') })(runtimeData), { code: 'ERR_REMOTE' })
  await t.rejects(
    tokens({ maaEndpoint: 'not a host' })(runtimeData),
    { code: 'ERR_REMOTE', transient: false, providerCode: 'ENDPOINT' }
  )
  t.same([maa.tokens, maa.objections], [[], []])
})

t.test('a trust domain of Intel\'s is told apart: there is no report of AMD\'s', async t => {
  const { outblob } = machine
  t.teardown(() => { machine.outblob = outblob })
  machine.provider = 'tdx_guest'
  machine.outblob = inblob => {
    const quote = Buffer.alloc(5000)
    quote.writeUInt16LE(4)
    quote.set(inblob, 568)
    return quote
  }
  await t.rejects(tokens()(runtimeData), { code: 'ERR_REMOTE', transient: false, message: /no SEV-SNP reports/ })
})

t.test('certificates that are not the chip\'s are for the service to refuse', async t => {
  const other = await snpMachine()
  t.teardown(() => other.close())
  machine.auxblob = other.table
  await t.rejects(
    tokens()(runtimeData),
    { code: 'ERR_REMOTE', transient: false, providerCode: 'InvalidParameter', advice: /certificates/ }
  )
  t.equal(maa.objections.length, 1)
})

const secret = 'eyJhbGciOiJSUzI1NiJ9.e30.c2VjcmV0'
const error = (code: string) => JSON.stringify({ error: { code, message: `about ${secret}` } })
const failures: Array<[
  name: string, fault: MaaFault, expected: { transient: boolean, providerCode?: string, retryAfter?: number }
]> = [
  [
    '400, by the policy of the provider', { status: 400, body: error('PolicyEvaluationError') },
    { transient: false, providerCode: 'PolicyEvaluationError' }
  ],
  [
    '400, with a token for a code', { status: 400, body: error(secret) }, { transient: false, providerCode: 'HTTP_400' }
  ],
  ['401', { status: 401, body: error('Unauthorized') }, { transient: false, providerCode: 'Unauthorized' }],
  ['403', { status: 403 }, { transient: false, providerCode: 'HTTP_403' }],
  ['404', { status: 404, body: '<html>' }, { transient: false, providerCode: 'HTTP_404' }],
  [
    'a redirection', { status: 302, headers: { location: 'https://localhost:9/' } },
    { transient: false, providerCode: 'HTTP_302' }
  ],
  [
    '429', { status: 429, headers: { 'retry-after': '7' } },
    { transient: true, providerCode: 'HTTP_429', retryAfter: 7 }
  ],
  ['429 with a long wait', { status: 429, headers: { 'retry-after': '86400' } }, { transient: true, retryAfter: 300 }],
  ['429 with a wait that is none', { status: 429, headers: { 'retry-after': 'soon' } }, { transient: true }],
  ['500', { status: 500, body: 'null' }, { transient: true, providerCode: 'HTTP_500' }],
  ['503', { status: 503, body: error('ServiceUnavailable') }, { transient: true, providerCode: 'ServiceUnavailable' }],
  ['200 without a token', { status: 200, body: '{}' }, { transient: true }],
  ['200 with a token that is none', { status: 200, body: JSON.stringify({ token: 'x' }) }, { transient: true }],
  [
    '200 with a token about nothing',
    { status: 200, body: JSON.stringify({ token: unsignedToken({ exp: Math.floor(Date.now() / 1000) + 3600 }) }) },
    { transient: true, providerCode: 'OTHER_TOKEN' }
  ],
  ['two documents', { status: 200, body: '{}{}' }, { transient: true }],
  ['a token for another key', 'other', { transient: true, providerCode: 'OTHER_TOKEN' }],
  ['a token that expires at once', 'expired', { transient: true }],
  ['an answer that ends early', 'truncate', { transient: true }],
  ['an answer that is too long', 'endless', { transient: true, providerCode: 'ERR_TOO_LONG' }],
  ['no answer', 'hang', { transient: true, providerCode: 'TIMEOUT' }]
]
for (const [name, fault, expected] of failures) {
  const howLong = expected.transient ? 'for now' : 'until somebody changes something'
  t.test(`${name}: fails ${howLong}, and repeats nothing of the answer`, async t => {
    maa.faults.push(fault)
    const failure =
      await tokens(fault === 'hang' ? { timeoutMs: 300 } : {})(runtimeData).catch((error: unknown) => error)
    t.type(failure, RemoteError)
    t.match(failure, expected)
    const { message, advice = '', providerCode = '' } = failure as RemoteError
    for (const token of [secret, ...maa.tokens]) t.notOk([message, advice, providerCode].join().includes(token))
  })
}

t.test('whoever waits no longer ends the attempt', async t => {
  maa.faults.push('hang')
  await t.rejects(tokens()(runtimeData, AbortSignal.timeout(200)), { code: 'ERR_REMOTE' })
  t.same(await machine.entries(), [])
})

t.test('azure-maa asks directly where the kernel has reports and no sidecar is named, and through the sidecar ' +
  'otherwise', async t => {
  const token = unsignedToken({ exp: Math.floor(Date.now() / 1000) + 3600 })
  const sidecar = await localService('tcp', response => response.end(JSON.stringify({ token })))
  t.teardown(() => sidecar.close())
  const reports = t.testdir()
  mkdirSync(join(reports, dirname(TSM_REPORTS)), { recursive: true })
  symlinkSync(machine.path, join(reports, TSM_REPORTS))
  const env = { UVM_SECURITY_CONTEXT_DIR: reports }
  const attester = (input: ConfigInput, root = reports) =>
    attesterFrom(
      configFrom({ workloadBaseUrl: 'http://127.0.0.1:9', attestationMaaEndpoint: maa.host, ...input }), builtIn,
      { env, root }
    )
  const request = { preimage: Buffer.alloc(1), binding: Buffer.alloc(32, 7) }

  const direct = await attester({})
  t.equal(direct.type, 'azure-maa')
  const { tee, evidence: [[, evidence = ''] = []] } = await direct.evidence(request)
  t.equal(tee, 'azure-maa')
  t.match(maa.claims(evidence), { 'x-ms-runtime': { nonce: request.binding.toString('base64url') } })
  t.same(
    (await (await attester({ attestationAzureSidecar: sidecar.url })).evidence(request)).evidence,
    [['application/jwt', token]]
  )
  t.equal(maa.tokens.length, 1)
  const neither = await attester({}, join(reports, 'missing'))
  await t.rejects(neither.evidence(request), { message: /sidecar/ })
})
