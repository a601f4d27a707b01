// polaris proxy holds no body: what is sent arrives piece by piece, what breaks off breaks off on the other side too.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import type { ClientRequest, ServerResponse } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { selfSigned } from '../../fixtures/certificate.ts'
import { startMeddler } from '../../fixtures/meddler.ts'
import { runLocalProxy, send, startChain } from '../../fixtures/local-proxy.ts'
import type { LocalProxy } from '../../fixtures/local-proxy.ts'
import { answerTo } from '../../fixtures/transfers.ts'

t.setTimeout(300_000)

t.test('server-sent events arrive one by one, each before the next is written', async t => {
  const responses: ServerResponse[] = []
  const { local } = await startChain(t, {
    listener (_request, response) {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
      responses.push(response)
    }
  })
  const response = await answerTo(httpRequest(local.url, { agent: false }).end())
  t.equal(response.headers['content-type'], 'text/event-stream', 'the head arrives before any event')
  for (let event = 0; event < 5; event++) {
    responses[0]!.write(`data: ${event}\n\n`)
    const [piece] = await once(response, 'data') as [Buffer]
    t.equal(piece.toString(), `data: ${event}\n\n`)
  }
  responses[0]!.end()
  await once(response, 'end')
})

t.test('both directions stream at once', async t => {
  const { local } = await startChain(t, { listener: (request, response) => { request.pipe(response) } })
  const request = httpRequest(local.url, { method: 'POST', agent: false })
  request.write('0')
  const response = await answerTo(request)
  for (let n = 0; n < 5; n++) {
    const [piece] = await once(response, 'data') as [Buffer]
    t.equal(piece.toString(), String(n))
    request.write(String(n + 1))
  }
  request.end()
  response.resume()
  await once(response, 'end')
})

t.test('a client that goes away ends the request at the workload: before an answer, within one, within an ' +
  'upload', async t => {
  const { local } = await startChain(t, {
    listener (request, response) {
      if (request.url === '/answering') response.write('first')
      const ended = new Promise<void>(resolve => { response.once('close', resolve) })
      seen.get(request.url ?? '')?.({ ended })
    }
  })
  const seen = new Map<string, (workload: { ended: Promise<void> }) => void>()
  for (const [path, method] of [['/waiting', 'GET'], ['/answering', 'GET'], ['/uploading', 'POST']] as const) {
    const reached = new Promise<{ ended: Promise<void> }>(resolve => { seen.set(path, resolve) })
    const request = httpRequest(local.url + path, { method, agent: false })
    request.on('error', error => t.match(error, { code: 'ECONNRESET' }))
    if (method === 'POST') request.write('first')
    else request.end()
    const { ended } = await reached
    if (path === '/answering') {
      const response = await answerTo(request)
      response.on('error', error => t.match(error, { code: 'ECONNRESET' }))
      await once(response, 'data')
    }
    request.destroy()
    await ended
    t.pass(path)
  }
})

t.test('an answer that breaks off is a reset connection, whatever its framing and the listener', async t => {
  const { cert, key } = selfSigned()
  // Where tests usually have their files, the path of a socket would be too long.
  const folder = mkdtempSync(join(tmpdir(), 'polaris-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  const [certFile, keyFile, socketPath] = [join(folder, 'cert.pem'), join(folder, 'key.pem'), join(folder, 'socket')]
  writeFileSync(certFile, cert)
  writeFileSync(keyFile, key)
  const listeners: [name: string, args: string[], begin: (local: LocalProxy) => ClientRequest][] = [
    ['TCP', [], ({ url }) => httpRequest(url, { agent: false })],
    ['TLS', ['--tls-cert', certFile, '--tls-key', keyFile],
      ({ url }) => httpsRequest(url, { agent: false, rejectUnauthorized: false })],
    ['a Unix socket', ['--unix', socketPath], () => httpRequest({ socketPath, agent: false })]
  ]
  for (const [name, args, begin] of listeners) {
    let answering: ServerResponse | undefined
    const { local } = await startChain(t, {
      args,
      listener (request, response) {
        answering = response.writeHead(200, request.url === '/length' ? { 'content-length': 100 } : {})
        response.write('half')
      }
    })
    for (const path of ['/chunked', '/length']) {
      const request = begin(local)
      request.path = path
      request.on('error', error => t.match(error, { code: 'ECONNRESET' })).end()
      const response = await answerTo(request)
      const pieces: string[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece.toString()))
      // A reset would take what has not been read yet.
      await once(response, 'data')
      answering?.destroy()
      const [error] = await once(response, 'error') as [Error]
      t.match(error, { code: 'ECONNRESET' }, name)
      t.notOk(response.complete, `${name}, ${path}`)
      t.equal(pieces.join(''), 'half')
    }
    await local.said(/(?:outcome=incomplete[^]*){2}/)
    local.child.kill()
    await local.exit
  }
})

t.test('an answer that is changed or cut on the way never looks complete', async t => {
  const { proxy, policy } = await startChain(
    t, { listener: (_request, response) => { response.end('x'.repeat(100_000)) } }
  )
  const meddler = await startMeddler(t, proxy.url)
  const { url } = await runLocalProxy(t, [meddler.url, '--policy', policy])
  await send(url)
  // From the head of the outer answer to its last byte.
  const whole = (await (async () => { meddler.cutAt(Infinity); await send(url); return meddler.passed() })()).length
  for (const [how, start] of [
    ['cut', 0], ['cut', 400], ['cut', 50_000], ['cut', whole - 1], ['flip', 60_000], ['flip', whole - 30],
    ['flip', whole - 10]
  ] as const) {
    if (how === 'cut') meddler.cutAt(start)
    else meddler.flipAt(start)
    const result = await send(url).catch((error: unknown) => error)
    if (result instanceof Error) t.match(result, { code: 'ECONNRESET' }, `${how} at ${start}`)
    else t.match(result, { status: 502, headers: { 'content-type': 'application/problem+json' } }, `${how} at ${start}`)
  }
})

t.test('an early answer ends an upload, and the client gets that answer', async t => {
  const { local } = await startChain(
    t, { listener: (_request, response) => { response.writeHead(413).end('too much') } }
  )
  const request = httpRequest(local.url, { method: 'POST', agent: false })
  const piece = Buffer.alloc(64 * 1024)
  const write = () => { while (request.write(piece)); }
  request.on('drain', write).on('error', error => t.match(error, { code: /EPIPE|ECONNRESET/ }))
  write()
  const response = await answerTo(request)
  t.equal(response.statusCode, 413)
  request.off('drain', write)
  let body = ''
  for await (const part of response) body += String(part)
  t.equal(body, 'too much')
  request.destroy()
})
