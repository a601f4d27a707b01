/** Clients that stall, dawdle or just stay connected harm nobody but themselves. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { encapsulate, fetchKey, requestHead } from '../../../fixtures/ohttp-client.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { rawClient, statusOf } from '../../../fixtures/raw.ts'
import { v1Client } from '../../../fixtures/v1-client.ts'
import type { V1Request } from '../../../fixtures/v1-client.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

/** A request must be seen aborted: guards against waiting for ever, and does not measure. */
const GUARD = 20_000

/** Some send one request several times. */
const sealed = { enableInputEncryption: true, enableOutputEncryption: true, v1ReplayProtection: false }
const lines = ({ headers }: V1Request) =>
  Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')

t.test('a client slower than 1 KB/s is served, and others meanwhile', async t => {
  const workload = await startWorkload(t)
  const { url, port } = await startProxy(t, { workloadBaseUrl: workload.url, clientIdleTimeout: '5s' })
  const client = await rawClient(t, port)
  client.send('POST /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 40\r\n\r\n')
  for (let i = 0; i < 40; i++) {
    client.send('x')
    await setTimeout(25)
    if (i % 10 === 0) t.equal((await fetch(url)).status, 200)
  }
  t.equal(statusOf(await client.end), 200)
  t.equal(workload.received.at(-1)?.body.toString(), 'x'.repeat(40))
})

for (const config of [{}, sealed]) {
  const how = config === sealed ? 'sealed' : 'in clear'
  t.test(`a client that stalls within its body is told so with 408, and let go, ${how}`, async t => {
    const workload = await startWorkload(t)
    const { url, port, log } = await startProxy(
      t, { workloadBaseUrl: workload.url, clientIdleTimeout: '300ms', ...config }
    )
    const request = await (await v1Client(url)).request({ target: '/x', body: 'whole' })
    const client = await rawClient(t, port)
    const fields = config === sealed ? lines(request) : ''
    client.send(`POST / HTTP/1.1\r\nhost: x\r\n${fields}content-length: ${request.body?.length}\r\n\r\n`)
    client.send(request.body?.subarray(0, -1) ?? '')
    const response = await client.end
    t.equal(statusOf(response), 408)
    t.match(response, /\r\ncontent-type: application\/problem\+json\r\n/)
    t.match(response, 'urn:polaris-secure-proxy:problem:client-timeout')
    t.equal(response.match(/HTTP\/1\.1/g)?.length, 1)
    t.same(workload.received, [], 'nothing incomplete reached the workload as a request')
    t.notMatch(log.join(''), /internal error|already sent/i)
    t.equal((await fetch(`${url}/polaris-container/livez`)).status, 200)
  })
}

/** More than the operating system takes off the proxy's hands. */
const UNREAD_BYTES = 32 * 2 ** 20

t.test('what is buffered for a client that takes nothing of its response is given back', async t => {
  const workload = await startWorkload(t, (_request, response) => { response.end(Buffer.alloc(UNREAD_BYTES)) })
  const { url, port, log } = await startProxy(t, {
    workloadBaseUrl: workload.url,
    clientIdleTimeout: '300ms',
    maxBodyBytes: UNREAD_BYTES,
    maxBufferedBytes: UNREAD_BYTES,
    ...sealed
  })
  const request = await (await v1Client(url)).request({ target: '/large' })
  const letGo = () => log.join('').split('stopped reading its response').length - 1
  for (let i = 1; i <= 3; i++) {
    const client = await rawClient(t, port)
    client.socket.pause()
    client.send(`GET / HTTP/1.1\r\nhost: x\r\n${lines(request)}\r\n`)
    while (letGo() < i) await setTimeout(20)
  }
  const response = await fetch(url, request)
  t.equal(response.status, 200, 'there is room for another one')
  await response.body?.cancel()
})

t.test('a stall on an endpoint of the proxy itself ends, too', async t => {
  const { port } = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9', clientIdleTimeout: '300ms' })
  const client = await rawClient(t, port)
  client.send('POST /polaris-container/attestation HTTP/1.1\r\nhost: x\r\ncontent-type: ' +
    'application/json\r\ncontent-length: 20\r\n\r\n{')
  t.equal(statusOf(await client.end), 408)
})

t.test('a client that stalls within its body when its response has begun is cut off', async t => {
  const workload = await startWorkload(t, (_request, response) => { response.writeHead(200).write('begun') })
  const { port, log } = await startProxy(t, { workloadBaseUrl: workload.url, clientIdleTimeout: '300ms' })
  const client = await rawClient(t, port)
  client.send('POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n')
  const response = await client.end
  t.match(response, /begun/)
  t.equal(response.match(/HTTP\/1\.1/g)?.length, 1)
  t.notMatch(response, /0\r\n\r\n$/, 'never complete')
  t.notMatch(log.join(''), /internal error|already sent/i)
})

t.test('a workload that is slow to take a body is not blamed on the client', async t => {
  let taken: IncomingMessage | undefined
  const workload = await startWorkload(t, (request, response) => {
    taken = request
    request.on('end', () => response.end('taken'))
  })
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url, clientIdleTimeout: '300ms' })
  const size = 32 * 2 ** 20
  const client = await rawClient(t, port)
  client.send(`POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${size}\r\n\r\n`)
  client.send(Buffer.alloc(size))
  await setTimeout(1500)
  t.equal(client.text(), '', 'no 408')
  taken?.resume()
  t.equal(statusOf(await client.end), 200)
})

t.test('a workload that is slow to answer is not blamed on the client', async t => {
  const workload = await startWorkload(t, (request, response) => {
    request.resume().on('end', async () => {
      await setTimeout(1000)
      response.end('late')
    })
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, clientIdleTimeout: '200ms', ...sealed })
  const client = await v1Client(url)
  const response = await fetch(url, { method: 'POST', ...await client.request({ target: '/x', body: 'y' }) })
  t.equal((await client.open(response)).toString(), 'late')
})

t.test('clients that take nothing of their responses are let go: they keep no connection to the workload from ' +
  'others', async t => {
  const workload = await startWorkload(t, async (request, response) => {
    const length = Number(request.url?.slice(1))
    for (let left = length; left > 0 && !response.destroyed; left -= 65_536) {
      if (!response.write(Buffer.alloc(Math.min(left, 65_536)))) {
        await Promise.race([once(response, 'drain'), once(response, 'close')])
      }
    }
    response.end()
  })
  for (const protocol of ['clear', 'ohttp'] as const) {
    const { url, port, log } = await startProxy(
      t, { workloadBaseUrl: workload.url, workloadConnections: 2, clientIdleTimeout: '300ms' }
    )
    const key = await fetchKey(url)
    for (let i = 0; i < 2; i++) {
      const socket = connect(port, '127.0.0.1')
      t.teardown(() => socket.destroy())
      if (protocol === 'clear') socket.write(`GET /${2 ** 30} HTTP/1.1\r\nhost: x\r\n\r\n`)
      else {
        const { contentType, message } = await encapsulate(key, requestHead('GET', `/${2 ** 30}`))
        socket.write(
          `POST / HTTP/1.1\r\nhost: x\r\ncontent-type: ${contentType}\r\ncontent-length: ${message.length}\r\n\r\n`
        )
        socket.write(message)
      }
    }
    await setTimeout(100)
    const response = await fetch(`${url}/1000`, { signal: AbortSignal.timeout(GUARD) })
    t.equal((await response.arrayBuffer()).byteLength, 1000, protocol)
    t.notMatch(log.join(''), /"level":50/)
  }
})

t.test('a client that reads slowly is served to the end', async t => {
  const size = 40 * 2 ** 20
  const workload = await startWorkload(t, (_request, response) => { response.end(Buffer.alloc(size)) })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, clientIdleTimeout: '400ms' })
  const { body } = await fetch(url)
  let got = 0
  for await (const piece of body ?? []) {
    // Longer than the timeout altogether, shorter each time.
    if (Math.floor(got / 2 ** 22) !== Math.floor((got += piece.length) / 2 ** 22)) await setTimeout(150)
  }
  t.equal(got, size)
})

t.test('while 1,000 connections are idle, and 100 more never finish their headers, requests are served', async t => {
  const workload = await startWorkload(t)
  const { url, port } = await startProxy(t, { workloadBaseUrl: workload.url })
  const sockets: Socket[] = []
  t.teardown(() => { for (const socket of sockets) socket.destroy() })
  for (let i = 0; i < 1100; i++) {
    const socket = connect(port, '127.0.0.1')
    sockets.push(socket)
    await once(socket, 'connect')
    if (i >= 1000) socket.write('GET / HTTP/1.1\r\nho')
  }
  for (let i = 0; i < 20; i++) {
    t.equal((await fetch(`${url}/polaris-container/health`)).status, 200)
    t.equal((await fetch(url)).status, 200)
  }
})
