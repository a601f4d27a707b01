/**
 * The access log: off unless it is asked for; then one line for each exchange, with nothing in it that was decrypted.
 */
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { encapsulate, fetchKey, requestHead, send } from '../fixtures/ohttp-client.ts'
import { startProxy } from '../fixtures/proxy.ts'
import type { Proxy } from '../fixtures/proxy.ts'
import { v1Client } from '../fixtures/v1-client.ts'
import { startWorkload } from '../fixtures/workload.ts'

interface Line { msg: string, reqId: string, exchange: Record<string, unknown> }

const linesOf = ({ log }: Proxy) => log.map(line => JSON.parse(line) as Line).filter(({ msg }) => msg === 'exchange')

async function lines (proxy: Proxy, count: number): Promise<Line[]> {
  while (linesOf(proxy).length < count) await setTimeout(10)
  return linesOf(proxy)
}

async function sendOhttp (url: string, chunked: boolean, body: Uint8Array) {
  const request = await encapsulate(
    await fetchKey(url), requestHead('POST', '/secret-path?secret=1', [['x-secret', 'secret']]), body, { chunked }
  )
  return request.open(await send(`${url}/.well-known/ohttp-gateway`, request))
}

t.test('each exchange has one line: protocol, outer status class, sizes rounded up, durations, request id', async t => {
  const workload = await startWorkload(t, (request, response) => {
    request.resume().on(
      'end', () => response.writeHead(404, { 'x-secret': 'secret' }).end('secret')
    )
  })
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, accessLog: true })
  t.equal((await sendOhttp(proxy.url, false, Buffer.from('secret'))).status, 404)
  t.equal((await sendOhttp(proxy.url, true, Buffer.alloc(5000, 'secret'))).status, 404)
  t.equal((await fetch(`${proxy.url}/secret-path`, { headers: { 'x-secret': 'secret' } })).status, 404)
  const found = await lines(proxy, 3)
  t.strictSame(
    found.map(({ exchange: { protocol, status } }) => [protocol, status]),
    [['ohttp', '2xx'], ['ohttp-chunked', '2xx'], ['plain', '4xx']], 'the inner status of OHTTP is not told'
  )
  for (const { reqId, exchange } of found) {
    t.match(reqId, /^[\da-f-]{36}$/)
    t.strictSame(
      Object.keys(exchange).sort(),
      ['duration', 'firstByte', 'protocol', 'proxy', 'received', 'sent', 'status', 'workload']
    )
    for (const size of [exchange['received'], exchange['sent']] as number[]) t.ok(size > 0 && size % 1024 === 0)
    for (const name of ['duration', 'firstByte', 'proxy', 'workload']) t.ok(Number.isInteger(exchange[name]), name)
  }
  t.ok((found[1]!.exchange['received'] as number) >= 6 * 1024)
  t.notMatch(JSON.stringify(found), /secret|127\.0\.0\.1/)
})

t.test('a refused exchange has its line, too, and the request id of the answer', async t => {
  const workload = await startWorkload(t)
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, accessLog: true, enableInputEncryption: true, enableOutputEncryption: true }
  )
  const client = await v1Client(proxy.url)
  const { headers } = await client.request({ target: '/x' })
  const response = await fetch(proxy.url, { method: 'POST', headers, body: 'broken' })
  t.equal(response.status, 400)
  const [line] = await lines(proxy, 1)
  t.match(line?.exchange, { protocol: 'polaris-v1', status: '4xx' })
  t.equal(line?.reqId, (await response.json() as { requestId: string }).requestId)
})

t.test('without the setting there is none, and the proxy\'s own endpoints have none', async t => {
  const workload = await startWorkload(t)
  for (const accessLog of [false, true]) {
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url, accessLog })
    await (await fetch(`${proxy.url}/polaris-container/readyz`)).text()
    await (await fetch(`${proxy.url}/x`)).text()
    // That of the second comes after that of the first would have.
    if (accessLog) t.match(await lines(proxy, 1), [{ exchange: { protocol: 'plain', status: '2xx' } }])
    else await setTimeout(100)
    t.equal(linesOf(proxy).length, accessLog ? 1 : 0)
  }
})
