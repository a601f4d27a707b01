/** Passthrough streams both ways: nothing waits for the rest of a message. */
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t from 'tap'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, rawExchange, startRawWorkload, statusOf } from '../../fixtures/raw.ts'
import { startWorkload } from '../../fixtures/workload.ts'

t.test('each server-sent event arrives before the next one is made', async t => {
  let stream: ServerResponse | undefined
  const workload = await startWorkload(t, (_request, response) => {
    stream = response.writeHead(200, { 'content-type': 'text/event-stream' })
    stream.flushHeaders()
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const response = await fetch(url)
  t.equal(response.headers.get('content-type'), 'text/event-stream')
  const reader = response.body?.getReader()
  for (let i = 0; i < 20; i++) {
    const event = `data: ${i}\n\n`
    stream?.write(event)
    t.equal(Buffer.from((await reader?.read())?.value ?? '').toString(), event)
  }
  stream?.end()
  t.equal((await reader?.read())?.done, true)
})

t.test('each piece of an upload arrives before the next one is sent, and while the response streams', async t => {
  const workload = await startWorkload(t, (request, response) => { request.pipe(response) })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const request = httpRequest(url, { method: 'POST' })
  request.write('first')
  const [response] = await once(request, 'response') as [IncomingMessage]
  const [first] = await once(response, 'data') as [Buffer]
  t.equal(first.toString(), 'first')
  for (let i = 0; i < 20; i++) {
    request.write(`piece ${i}`)
    const [piece] = await once(response, 'data') as [Buffer]
    t.equal(piece.toString(), `piece ${i}`)
  }
  request.end()
  await once(response, 'end')
})

t.test('a response that comes before the upload is over reaches the client', async t => {
  const workload = await startWorkload(t, (_request, response) => {
    response.writeHead(403, { 'content-type': 'text/plain' }).end('enough')
  })
  const { url, port } = await startProxy(t, { workloadBaseUrl: workload.url })
  const client = await rawClient(t, port)
  client.send('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nbeginning')
  const response = await client.end
  t.equal(statusOf(response), 403)
  t.match(response, /connection: close\r\n/i)
  t.match(response, /\r\n\r\n(6\r\n)?enough/)
  t.equal((await fetch(url)).status, 403, 'and the proxy serves on')
})

t.test('redirects are passed through and not followed', async t => {
  const workload = await startWorkload(
    t, (_request, response) => { response.writeHead(302, { location: 'http://elsewhere.example/x' }).end() }
  )
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const response = await fetch(url, { redirect: 'manual' })
  t.equal(response.status, 302)
  t.equal(response.headers.get('location'), 'http://elsewhere.example/x')
})

t.test('trailers of the workload are dropped, and what they follow is complete', async t => {
  const workload = await startRawWorkload(t, socket => {
    socket.write(
      'HTTP/1.1 200 OK\r\ntrailer: x-t\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-t: dropped\r\n\r\n'
    )
  })
  const { url, port } = await startProxy(t, { workloadBaseUrl: workload.url })
  const response = await rawExchange(t, port, 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  t.match(response, /\r\n\r\n2\r\nok\r\n0\r\n\r\n$/)
  t.notMatch(response, /x-t|dropped/)
  t.equal(await (await fetch(url)).text(), 'ok')
})

t.test('interim responses of the workload do not get in the way', async t => {
  const workload = await startRawWorkload(t, socket => {
    socket.write('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 ' +
      'OK\r\ncontent-length: 2\r\n\r\nok')
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const response = await fetch(url)
  t.equal(response.status, 200)
  t.equal(await response.text(), 'ok')
})

const bodiless: Array<[string, string, number, RegExp]> = [
  ['GET', 'HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n', 204, /x-a: b/],
  ['GET', 'HTTP/1.1 304 Not Modified\r\netag: "x"\r\ncontent-length: 7\r\n\r\n', 304, /etag: "x"/],
  ['HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n', 200, /content-length: 1234/i],
  ['HEAD', 'HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n', 404, /^HTTP/],
  ['GET', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', 200, /content-length: 0/i]
]
for (const [method, answer, status, pattern] of bodiless) {
  t.test(`${method} answered with ${status} and no body is complete, and its connection is used again`, async t => {
    const workload = await startRawWorkload(t, socket => socket.write(answer))
    const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
    const client = await rawClient(t, port)
    for (let i = 1; i <= 2; i++) {
      client.send(`${method} / HTTP/1.1\r\nhost: x\r\n${i === 2 ? 'connection: close\r\n' : ''}\r\n`)
      await client.until(new RegExp(`(HTTP/1.1 ${status}[^]*\\r\\n\\r\\n){${i}}`))
    }
    const response = await client.end
    t.equal(statusOf(response), status)
    t.match(response, pattern)
    t.match(response, /\r\n\r\n$/, 'no body')
  })
}

t.test('a response that ends with its connection is forwarded', async t => {
  const workload = await startRawWorkload(t, socket => socket.end('HTTP/1.0 200 OK\r\n\r\nuntil the end'))
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  t.equal(await (await fetch(url)).text(), 'until the end')
})
