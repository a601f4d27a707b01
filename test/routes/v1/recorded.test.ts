/** Requests that the original's SDK recorded reach the workload as recorded, and its client opens the answers. */
import { constants, createPrivateKey, privateDecrypt } from 'node:crypto'
import t from 'tap'
import { openMessage } from '../../../lib/protocols/polaris-v1.ts'
import { fixedKey, startProxy } from '../../fixtures/proxy.ts'
import { ABSENT, loadVectors } from '../../fixtures/vectors.ts'
import type { PolarisV1Vectors } from '../../fixtures/vectors.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const vectors = loadVectors<PolarisV1Vectors>('polaris-v1.json')
const own = new Set(['polaris-url', 'polaris-response-public-key'])

if (vectors === undefined) t.plan(0, ABSENT)
else {
  const { keys, requests } = vectors
  const clientKey = createPrivateKey(keys.client.privatePem)
  const unwrap = async (wrapped: Uint8Array) => privateDecrypt(
    { key: clientKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, wrapped
  )

  for (const { name, boundResponseKey, request, expectWorkload } of requests) {
    t.test(`${name} reaches the workload as recorded`, async t => {
      const workload = await startWorkload(t)
      const proxy = await startProxy(t, {
        workloadBaseUrl: workload.url,
        enableInputEncryption: true,
        enableOutputEncryption: true,
        v1AllowUnboundResponseKey: !boundResponseKey
      }, { keyProvider: await fixedKey(keys.server.privatePem) })

      const { 'content-length': _, ...headers } = request.headers
      const body = Buffer.from(request.bodyBase64, 'base64')
      const response = await fetch(proxy.url, { method: request.method, headers, body: body.length > 0 ? body : null })
      t.equal(response.status, 200)
      t.equal(response.headers.get('content-type'), 'application/json')

      const [received] = workload.received
      t.equal(received?.method, expectWorkload.method)
      t.equal(received?.url, expectWorkload.url)
      t.equal(received?.body.toString('base64'), expectWorkload.bodyBase64)
      for (const [header, value] of Object.entries(expectWorkload.headers)) {
        if (!own.has(header)) t.equal(received?.headers[header.toLowerCase()], value, header)
      }

      const opened = await openMessage(Buffer.from(await response.text(), 'base64'), unwrap)
      t.equal(
        JSON.parse(Buffer.from(opened).toString()).url, expectWorkload.url, 'the recorded client opens the answer'
      )
    })
  }
}
