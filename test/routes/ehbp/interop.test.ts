/** The JavaScript client that people use, npm `ehbp`, against the proxy. */
import { randomBytes } from 'node:crypto'
import { Identity, KeyConfigMismatchError, Transport } from 'ehbp'
import t from 'tap'
import { fetchEhbpKey } from '../../fixtures/ehbp-client.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { startWorkload } from '../../fixtures/workload.ts'

async function start (t: Parameters<typeof startWorkload>[0], listener?: Parameters<typeof startWorkload>[1]) {
  const workload = await startWorkload(t, listener)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, enableEhbp: true })
  return { workload, url }
}

t.test('it fetches the key, sends, and opens the answer', async t => {
  const { url, workload } = await start(t)
  const transport = await Transport.create(url)
  t.equal(await transport.getServerPublicKeyHex(), (await fetchEhbpKey(url)).toString('hex'))
  const response = await transport.post(`${url}/a?b`, 'hello', { headers: { 'content-type': 'text/plain' } })
  t.equal(response.status, 200)
  t.match(await response.json(), { url: '/a?b', body: Buffer.from('hello').toString('base64') })
  t.equal(workload.received[0]?.headers['content-type'], 'text/plain')
})

t.test('it sends a body of megabytes as one frame, and reads one back', async t => {
  const { url } = await start(t, (request, response) => request.pipe(response))
  const body = randomBytes(5_000_000)
  const response = await (await Transport.create(url)).post(url, body)
  t.equal(Buffer.from(await response.arrayBuffer()).equals(body), true)
})

t.test('it reads a stream event by event, an answer without content, and an error', async t => {
  const { url } = await start(t, async (request, response) => {
    request.resume()
    if (request.url === '/none') return response.writeHead(204).end()
    if (request.url === '/error') return response.writeHead(404).end('no')
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    for (let i = 0; i < 3; i++) {
      await new Promise(resolve => setTimeout(resolve, 30))
      response.write(`data: ${i}\n\n`)
    }
    response.end()
  })
  const transport = await Transport.create(url)
  const events: string[] = []
  const { body } = await transport.post(url, 'x')
  for await (const piece of body!) events.push(Buffer.from(piece).toString())
  t.strictSame(events, ['data: 0\n\n', 'data: 1\n\n', 'data: 2\n\n'])
  t.equal((await transport.post(`${url}/none`, 'x')).status, 204)
  const missing = await transport.post(`${url}/error`, 'x')
  t.strictSame([missing.status, await missing.text()], [404, 'no'])
})

t.test('it learns that its key is another\'s', async t => {
  const { url } = await start(t)
  const transport = new Transport(await Identity.generate(), new URL(url).host)
  await t.rejects(transport.post(url, 'x'), KeyConfigMismatchError)
})

t.test('a request without a body is sent unencrypted', async t => {
  const { url } = await start(t)
  t.equal((await (await Transport.create(url)).get(url)).status, 200)
})
