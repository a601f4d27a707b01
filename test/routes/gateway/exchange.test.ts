/** A request that is encapsulated reaches the workload in clear, and its answer comes back encapsulated. */
import t from 'tap'
import { encapsulate, fetchKey, requestHead, send } from '../../fixtures/ohttp-client.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { startWorkload } from '../../fixtures/workload.ts'

for (const chunked of [false, true]) {
  const form = chunked ? 'chunked' : 'one-shot'

  t.test(`${form}: a POST and its answer cross the proxy`, async t => {
    const workload = await startWorkload(t)
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
    const key = await fetchKey(proxy.url)

    for (const path of ['/.well-known/ohttp-gateway', '/', '/any/path?at=all']) {
      const request = await encapsulate(
        key, requestHead('POST', '/things?q=1&r=%zz', [['content-type', 'text/plain'], ['x-custom', 'yes']]),
        Buffer.from('hello'), { chunked }
      )
      const response = await send(proxy.url + path, request)
      const inner = await request.open(response)
      t.equal(inner.status, 200)
      t.equal(inner.headers.get('content-type'), 'application/json')
      const seen = JSON.parse(inner.body.toString())
      t.match(seen, { method: 'POST', url: '/things?q=1&r=%zz', body: Buffer.from('hello').toString('base64') })
      t.match(seen.headers, { 'content-type': 'text/plain', 'x-custom': 'yes', 'accept-encoding': 'identity' })
      t.equal(seen.headers.host, new URL(workload.url).host)
    }
  })

  t.test(`${form}: a GET has no body at the workload`, async t => {
    const workload = await startWorkload(t)
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
    const request = await encapsulate(await fetchKey(proxy.url), requestHead('GET', '/'), undefined, { chunked })
    t.equal((await request.open(await send(proxy.url, request))).status, 200)
    t.strictSame(
      [workload.received[0]?.method, workload.received[0]?.url, workload.received[0]?.body.length], ['GET', '/', 0]
    )
    t.notOk(workload.received[0]?.headers['transfer-encoding'])
  })

  t.test(`${form}: the same request is not forwarded twice`, async t => {
    const workload = await startWorkload(t)
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
    const request = await encapsulate(
      await fetchKey(proxy.url), requestHead('POST', '/'), Buffer.from('once'), { chunked }
    )
    t.equal((await request.open(await send(proxy.url, request))).status, 200)
    const second = await send(proxy.url, request)
    t.equal(second.status, 400)
    t.match(await second.json(), { type: 'urn:polaris-secure-proxy:problem:cannot-open' })
    t.equal(workload.received.length, 1)
  })

  t.test(`${form}: the proxy's own errors after opening are inside`, async t => {
    const proxy = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9' })
    const request = await encapsulate(
      await fetchKey(proxy.url), requestHead('POST', '/'), Buffer.from('x'), { chunked }
    )
    const inner = await request.open(await send(proxy.url, request))
    t.equal(inner.status, 502)
    t.equal(inner.headers.get('content-type'), 'application/problem+json')
    t.match(
      JSON.parse(inner.body.toString()), { type: 'urn:polaris-secure-proxy:problem:upstream-unreachable', status: 502 }
    )
  })
}

t.test('the workload is told the length of a body that the message tells, however it arrives', async t => {
  const workload = await startWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  const content = Buffer.alloc(300_000, 'x')
  const request = await encapsulate(await fetchKey(proxy.url), requestHead('POST', '/'), content)
  t.equal((await request.open(await send(proxy.url, request))).status, 200)
  t.match(workload.received[0]?.headers, { 'content-length': '300000', 'transfer-encoding': undefined })
  t.ok(workload.received[0]?.body.equals(content))
})
