// The two Azure attesters against a stand-in for the secure key release sidecar, over TCP.
import { createHash } from 'node:crypto'
import t from 'tap'
import { RemoteError } from '../../../../lib/remote/error.ts'
import { azureMaa, maaSidecar } from '../../../../lib/platforms/azure/maa.ts'
import { azureSnp } from '../../../../lib/platforms/azure/snp.ts'
import { reportData } from '../../../../lib/protocols/attestation.ts'
import { localService, unsignedToken } from '../../../fixtures/local-service.ts'
import type { Answer, LocalRequest } from '../../../fixtures/local-service.ts'

const preimage = Buffer.from('pre-image')
const binding = createHash('sha256').update(preimage).digest()
const inEightHours = Math.floor(Date.now() / 1000) + 8 * 3600
const token = unsignedToken({ exp: inEightHours })

const sidecar = await localService('tcp', response => response.end())
t.teardown(() => sidecar.close())

const json = (status: number, body: unknown): Answer => response =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(
    typeof body === 'string' ? body : JSON.stringify(body)
  )

/** As the sidecar does: REPORT_DATA is SHA-256 of the runtime data, then zeros. */
function combined (request: LocalRequest, change?: (report: Buffer) => void) {
  const report = Buffer.alloc(1184, 0x11)
  const { runtime_data: runtimeData } = JSON.parse(request.body) as { runtime_data: string }
  report.set(reportData(createHash('sha256').update(Buffer.from(runtimeData, 'base64')).digest()), 0x50)
  change?.(report)
  return {
    evidence: report.toString('base64'),
    endorsements: Buffer.from('-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n-----BEGIN ' +
      'CERTIFICATE-----\nBAUG\n-----END CERTIFICATE-----\n').toString('base64'),
    uvm_endorsements: Buffer.from('cose').toString('base64'),
    endorsed_tcb: '0400000000001BDB'
  }
}

t.test('azure-maa sends JSON runtime data that holds the binding, and a bare host', async t => {
  for (const maaEndpoint of ['sharedneu.neu.attest.azure.net', 'https://sharedneu.neu.attest.azure.net/']) {
    sidecar.answer = json(200, { token })
    const evidence = await azureMaa(maaSidecar({ endpoint: sidecar.url, maaEndpoint })).evidence({ preimage, binding })
    t.same(evidence, {
      tee: 'azure-maa',
      evidence: [['application/jwt', token]],
      endorsements: [],
      expiresAt: new Date(inEightHours * 1000)
    })
    const request = sidecar.requests.at(-1)
    t.equal(request?.url, '/attest/maa')
    const body = JSON.parse(request?.body ?? '') as Record<string, string>
    t.equal(body['maa_endpoint'], 'sharedneu.neu.attest.azure.net')
    t.same(
      JSON.parse(Buffer.from(body['runtime_data'] ?? '', 'base64').toString()), { nonce: binding.toString('base64url') }
    )
  }
})

t.test('azure-snp passes on the report with its certificates and the endorsement of the utility VM', async t => {
  sidecar.answer = (response, request) => response.end(JSON.stringify(combined(request)))
  const evidence = await azureSnp({ endpoint: `${sidecar.url}/` }).evidence({ preimage, binding })
  t.equal(sidecar.requests.at(-1)?.url, '/attest/combined')
  t.equal(evidence.tee, 'sev-snp')
  t.equal(evidence.evidence[0]?.[0], 'application/vnd.polaris.sev-snp-report')
  t.equal(
    Buffer.from(evidence.evidence[0]?.[1] ?? '', 'base64url').subarray(0x50, 0x70).toString('hex'),
    binding.toString('hex')
  )
  t.same(evidence.endorsements, [
    ['application/pkix-cert', 'AQID'],
    ['application/pkix-cert', 'BAUG'],
    ['application/cose; cose-type="cose-sign1"', Buffer.from('cose').toString('base64url')]
  ])
})

t.test('azure-snp reads endorsements in the JSON of Azure\'s certificate cache', async t => {
  const cache = JSON.stringify({
    vcekCert: '-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n',
    tcbm: '04',
    certificateChain: '-----BEGIN CERTIFICATE-----\nBAUG\n-----END CERTIFICATE-----\n'
  })
  sidecar.answer = (response, request) => response.end(
    JSON.stringify({ ...combined(request), endorsements: Buffer.from(cache).toString('base64') })
  )
  const { endorsements } = await azureSnp({ endpoint: sidecar.url }).evidence({ preimage, binding })
  t.same(endorsements.slice(0, 2), [['application/pkix-cert', 'AQID'], ['application/pkix-cert', 'BAUG']])
})

const secret = 'eyJhbGciOi-secret'
const failures: Array<[name: string, transient: boolean, answer: Answer]> = [
  ['400', false, json(400, { error: 'bad runtime data' })],
  [
    '403, since a policy was not assigned yet', false,
    json(403, `{"error":"http response status equal to 403"}{"error":"${secret}"}`)
  ],
  [
    '403, since the provider answered 400', false, json(403, { error: 'http response status equal to 400 Bad Request' })
  ],
  ['403, since a name does not resolve', false, json(403, { error: 'no such host' })],
  ['500', true, json(500, '')],
  ['two JSON documents with 200', true, json(200, '{}{}')],
  ['a member of another type', true, json(200, { token: 1, evidence: 1, endorsements: '', uvm_endorsements: null })],
  ['null', true, json(200, 'null')],
  ['nothing', true, json(200, '')],
  ['a reset', true, response => response.destroy()],
  ['a hang', true, () => undefined]
]
for (const [name, transient, answer] of failures) {
  const howLong = transient ? 'for now' : 'until something is changed'
  t.test(`${name}: both fail ${howLong}, and repeat nothing of the answer`, async t => {
    sidecar.answer = answer
    const options = { endpoint: sidecar.url, timeoutMs: 500 }
    for (const attester of [azureMaa(maaSidecar({ ...options, maaEndpoint: 'a.example' })), azureSnp(options)]) {
      const error = await attester.evidence({ preimage, binding }).catch((error: unknown) => error)
      t.type(error, RemoteError)
      t.match(error, { transient })
      t.notOk((error as Error).message.includes(secret))
    }
  })
}

t.test('a made-up report, as the sidecar gives without an SNP device, is refused', async t => {
  for (const change of [(report: Buffer) => report.fill(0, 0x50, 0x90), (report: Buffer) => { report[0x8f] = 1 }]) {
    sidecar.answer = (response, request) => response.end(JSON.stringify(combined(request, change)))
    await t.rejects(
      azureSnp({ endpoint: sidecar.url }).evidence({ preimage, binding }), { message: /for another request/ }
    )
  }
  sidecar.answer = (response, request) => response.end(JSON.stringify({ ...combined(request), evidence: 'AAAA' }))
  await t.rejects(
    azureSnp({ endpoint: sidecar.url }).evidence({ preimage, binding }), { message: /for another request/ }
  )
})

t.test('a token that is none, or has expired, is refused', async t => {
  for (const answer of ['x', unsignedToken({ exp: 1 })]) {
    sidecar.answer = json(200, { token: answer })
    await t.rejects(
      azureMaa(maaSidecar({ endpoint: sidecar.url, maaEndpoint: 'a.example' })).evidence({ preimage, binding }),
      { code: 'ERR_REMOTE' }
    )
  }
})
