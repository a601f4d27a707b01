/** Over real connections: the proxy with a client that nobody here wrote, and the SDK with such a gateway. */
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import { AEAD_IDS, callGateway, startIndependentGateway } from '../../../fixtures/independent-ohttp.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

for (const aeadId of AEAD_IDS) {
  for (const chunked of [false, true]) {
    const form = chunked ? 'chunked' : 'one-shot'
    t.test(`a client of @hpke/core and bhttp-js is served: AEAD ${aeadId}, ${form}`, async t => {
      const content = 'grüße '.repeat(10_000)
      const workload = await startWorkload(t, async (request, response) => {
        const body = await buffer(request)
        response.writeHead(
          201,
          { 'content-type': 'text/plain', 'x-seen': `${request.method} ${request.url} ${request.headers['x-own']}` }
        )
        // In pieces, so that there are chunks.
        response.write(body.subarray(0, 30_000), () => response.end(body.subarray(30_000)))
      })
      const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
      const request = new Request('https://workload.example/things', {
        method: 'PUT', headers: { date: new Date().toUTCString(), 'x-own': 'yes' }, body: content
      })
      const response = await callGateway(`${proxy.url}/.well-known/ohttp-gateway`, request, aeadId, chunked)
      t.equal(response.status, 201)
      t.equal(response.headers.get('x-seen'), 'PUT /things yes')
      t.ok(await response.text() === content)
    })
  }

  t.test(`the fetch uses a gateway of @hpke/core and bhttp-js: AEAD ${aeadId}`, async t => {
    const url = await startIndependentGateway(t, async inner => new Response(
      `${inner.method} ${new URL(inner.url).pathname} ${inner.headers.get('x-own')} ${await inner.text()}`,
      { status: 203, headers: { 'x-answer': 'theirs' } }
    ), aeadId)
    const polarisFetch = createPolarisFetch({ baseURL: url })
    const body = 'x'.repeat(50_000)
    for (const content of [body, new Blob([body]).stream()]) {
      const response = await polarisFetch(
        '/things', { method: 'PUT', headers: { 'x-own': 'yes' }, body: content, duplex: 'half' }
      )
      t.strictSame([response.status, response.headers.get('x-answer')], [203, 'theirs'])
      t.ok(await response.text() === `PUT /things yes ${body}`)
    }
  })
}
