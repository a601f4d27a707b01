/** A workload of HTTP/2 without TLS (h2c://) is asked as one of HTTP/1.1 is: the same exchanges, in every mode. */
import { once } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http2'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { startH2cWorkload } from '../../fixtures/h2c.ts'
import { ask, http2Client } from '../../fixtures/http2.ts'
import { startModes } from '../../fixtures/modes.ts'
import { freePort } from '../../fixtures/process.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawExchange } from '../../fixtures/raw.ts'
import { servingTls } from '../../fixtures/tls.ts'

t.test('method, target, headers and bytes arrive, and come back, in every mode', async t => {
  const workload = await startH2cWorkload(t)
  const [, ...modes] = await startModes(t, workload.url)
  for (const mode of modes) {
    for (const [method, length] of [
      ['GET', undefined], ['HEAD', undefined], ['DELETE', undefined], ['POST', undefined], ['POST', 0], ['PUT', 16385],
      ['POST', 2 ** 20], ['QUERY', 3], ['PROPFIND', undefined], ['GET', 2]
    ] as const) {
      const body = length === undefined ? undefined : Buffer.alloc(length, '0123456789')
      const answer = await mode.send({
        method,
        target: '/a/../b//c?d=%zz&e',
        headers: [['x-latin', 'M\xfcller'], ['cookie', 'a=1; b=2'], ['x-empty', '']],
        ...body && { body }
      })
      const name = `${mode.name}, ${method}, ${length}`
      t.equal(answer.status, 200, name)
      const received = workload.received.at(-1)
      t.match(received, { method, url: '/a/../b//c?d=%zz&e' }, name)
      t.match(
        received?.headers,
        { 'x-latin': 'M\xfcller', cookie: 'a=1; b=2', 'x-empty': '', ':authority': workload.url.slice(6) }, name
      )
      t.ok(received?.body.equals(body ?? Buffer.alloc(0)), `${name}: bytes`)
      if (method !== 'HEAD') t.match(JSON.parse(answer.body.toString()), { method }, name)
    }
  }
})

t.test('answers without content, with a length, with several values, and large ones come back', async t => {
  const large = Buffer.alloc(3 * 2 ** 20, 'polaris')
  const workload = await startH2cWorkload(t, (request, response) => {
    request.resume()
    if (request.url === '/204') return response.writeHead(204).end()
    if (request.url === '/304') return response.writeHead(304, { etag: '"x"', 'content-length': '7' }).end()
    if (request.url === '/empty') return response.stream.respond({ ':status': 200, 'x-e': '1' }, { endStream: true })
    if (request.url === '/large') return response.end(large)
    response.writeHead(418, { 'set-cookie': ['a=1', 'b=2'], 'x-bytes': 'caf\xe9', 'content-length': '4' }).end('body')
  })
  const [, ...modes] = await startModes(t, workload.url)
  for (const mode of modes) {
    const answer = await mode.send()
    t.equal(answer.status, 418, mode.name)
    t.equal(answer.body.toString(), 'body', mode.name)
    const fields = answer.fields.map(field => field.join(': '))
    for (const field of ['set-cookie: a=1', 'set-cookie: b=2', 'x-bytes: caf\xe9']) t.ok(fields.includes(field), field)
    t.equal((await mode.send({ target: '/204' })).status, 204, mode.name)
    t.equal((await mode.send({ target: '/304' })).status, 304, mode.name)
    t.match(await mode.send({ target: '/empty' }), { status: 200, body: Buffer.alloc(0) }, mode.name)
    t.equal((await mode.send({ method: 'HEAD' })).status, 418, mode.name)
    t.ok((await mode.send({ target: '/large' })).body.equals(large), mode.name)
  }
})

t.test('a path in the URL is put in front, and addresses lose the authority', async t => {
  const workload = await startH2cWorkload(t, (request, response) => {
    request.resume()
    response.writeHead(302, { location: `http://${request.authority}/base/there`, 'x-url': request.url }).end()
  })
  const { url, port } = await startProxy(t, { workloadBaseUrl: `${workload.url}/base/` })
  const response = await fetch(`${url}/x`, { redirect: 'manual' })
  t.equal(response.headers.get('location'), '/there')
  t.equal(response.headers.get('x-url'), '/base/x')
  t.match(await rawExchange(t, port, 'GET /../x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'), /^HTTP\/1.1 400/)
})

t.test('streams pass both ways at once', async t => {
  const workload = await startH2cWorkload(t, (request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.stream.write('hello ')
    request.on('data', (piece: Buffer) => response.write(`<${piece.toString()}>`))
    request.on('end', () => response.end('end'))
  })
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, tls: 'attested', tlsPort: 0 })
  const session = await http2Client(t, await servingTls(proxy))
  const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false })
  let text = ''
  stream.on('data', (piece: Buffer) => { text += piece.toString() })
  stream.write('zero')
  const [headers] = await once(stream, 'response') as [IncomingHttpHeaders]
  t.equal(headers[':status'], 200)
  for (const word of ['zero', 'one', 'two', 'three']) {
    if (word !== 'zero') stream.write(word)
    while (!text.includes(`<${word}>`)) await once(stream, 'data')
  }
  stream.end()
  await once(stream, 'close')
  t.equal(text, 'hello <zero><one><two><three>end')
})

t.test('requests share a connection up to what the workload allows, and then open another', async t => {
  let most = 0
  const held: (() => void)[] = []
  const workload = await startH2cWorkload(t, (request, response) => {
    held.push(() => response.end('ok'))
    most = Math.max(most, workload.sessions.size)
  }, { settings: { maxConcurrentStreams: 4 } })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const answers = Array.from({ length: 10 }, () => fetch(url))
  while (held.length < 10) await setTimeout(10)
  for (const answer of held) answer()
  for (const answer of await Promise.all(answers)) t.equal(answer.status, 200)
  t.equal(most, 3)
})

t.test('an answer before the end of the body arrives, and the rest of the body is not wanted', async t => {
  const closed: Promise<unknown>[] = []
  const workload = await startH2cWorkload(t, (request, response) => {
    closed.push(once(request.stream, 'close'))
    response.writeHead(413).end('too much')
  })
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, tls: 'attested', tlsPort: 0 })
  const session = await http2Client(t, await servingTls(proxy))
  const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false })
  stream.write('begun')
  const [headers] = await once(stream, 'response') as [IncomingHttpHeaders]
  t.equal(headers[':status'], 413)
  t.equal((await buffer(stream)).toString(), 'too much')
  await Promise.all(closed)
  t.equal((await ask(session, { ':method': 'GET', ':path': '/' })).status, 413, 'and others are served')
})

t.test('a client that leaves is noticed by the workload, before its answer and within it', async t => {
  const codes: number[] = []
  const workload = await startH2cWorkload(t, ({ stream, url }, response) => {
    stream.once('close', () => codes.push(stream.rstCode))
    if (url === '/within') response.write('part')
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  for (const path of ['/before', '/within']) {
    const gone = new AbortController()
    const answer = fetch(url + path, { signal: gone.signal })
    if (path === '/within') await answer
    else await setTimeout(100)
    gone.abort()
    await answer.catch(() => undefined)
    while (codes.length === 0) await setTimeout(10)
    t.equal(codes.pop(), 8, `${path}: CANCEL`)
  }
})

t.test('a workload that is down is 502, then serves when it is up; readyz probes it', async t => {
  const port = await freePort()
  const { url } = await startProxy(t, { workloadBaseUrl: `h2c://127.0.0.1:${port}`, readyChecksWorkload: true })
  const answer = await fetch(url)
  t.equal(answer.status, 502)
  t.match(await answer.json(), { type: 'urn:polaris-secure-proxy:problem:upstream-unreachable' })
  t.equal((await fetch(`${url}/polaris-container/readyz`)).status, 503)
  const { createServer } = await import('node:http2')
  const server = createServer((_request, response) => response.end('up'))
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  t.equal(await (await fetch(url)).text(), 'up')
  t.equal((await fetch(`${url}/polaris-container/readyz`)).status, 200)
})

t.test('a stop waits for what is under way, and then leaves no connection', async t => {
  let finish: (() => void) | undefined
  const workload = await startH2cWorkload(t, (_request, response) => {
    response.write('part')
    finish = () => response.end('rest')
  })
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  const answer = await fetch(proxy.url)
  const stopped = proxy.close()
  await setTimeout(50)
  finish?.()
  t.equal(await answer.text(), 'partrest')
  await stopped
  while (workload.sessions.size > 0) await setTimeout(10)
})
