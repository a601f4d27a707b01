/** All methods and all bodies are forwarded, and every message is framed exactly once. */
import { METHODS } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, rawExchange, startRawWorkload, statusOf } from '../../fixtures/raw.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'

t.test('every method of Node\'s parser is forwarded but CONNECT', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  for (const method of METHODS.filter(method => method !== 'CONNECT')) {
    const response = await rawExchange(t, port, `${method} /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    t.equal(statusOf(response), 200, method)
    t.equal(workload.received.pop()?.method, method)
  }
})

t.test('CONNECT is refused with a problem, and the proxy serves on', async t => {
  const workload = await startWorkload(t)
  const { url, port } = await startProxy(t, { workloadBaseUrl: workload.url })
  const response = await rawExchange(t, port, 'CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n')
  t.equal(statusOf(response), 501)
  t.match(response, /application\/problem\+json/)
  t.same(workload.received, [])
  t.equal((await fetch(url)).status, 200)
})

t.test('an unknown method is refused', async t => {
  const { port } = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9' })
  t.equal(statusOf(await rawExchange(t, port, 'BREW / HTTP/1.1\r\nhost: x\r\n\r\n')), 400)
})

t.test('a request to upgrade to anything but WebSocket is forwarded as a plain one', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  const client = await rawClient(t, port)
  client.send(
    'GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: tls/1.3\r\n\r\n'
  )
  await client.until('/ws')
  t.equal(statusOf(client.text()), 200)
  t.notOk(workload.received[0]?.headers.upgrade)
})

/** Lets a message arrive on a raw connection, as HTTP frames it, and answers. */
function answering (): Parameters<typeof startRawWorkload>[1] {
  return (socket, received) => {
    const [head = '', rest = ''] = received.toString('latin1').split(/\r\n\r\n(.*)/s)
    const [, length] = /^content-length: (\d+)$/im.exec(head) ?? []
    if (length === undefined ? rest.endsWith('0\r\n\r\n') : rest.length === Number(length)) socket.write(OK)
  }
}

const framingHeaders = /^(content-length|transfer-encoding): .*$/gim

const bodies: Array<[string, string, string]> = [
  ['a known length', 'content-length: 5\r\n\r\nhello', 'hello'],
  ['chunks', 'transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n', 'hello world'],
  [
    'chunks with extensions and trailers',
    'transfer-encoding: chunked\r\ntrailer: x\r\n\r\n5;a=b\r\nhello\r\n0\r\nx: smuggled\r\n\r\n', 'hello'
  ],
  ['empty chunks', 'transfer-encoding: chunked\r\n\r\n0\r\n\r\n', ''],
  ['no octets', 'content-length: 0\r\n\r\n', '']
]
for (const [name, sent, body] of bodies) {
  t.test(`a body of ${name}, all there at once, is framed once, by its length`, async t => {
    const workload = await startRawWorkload(t, answering())
    const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
    const response = await rawExchange(t, port, `POST /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${sent}`)
    t.equal(statusOf(response), 200)
    const [head = '', rest] = workload.received.join('').split(/\r\n\r\n(.*)/s)
    t.same(head.match(framingHeaders), [`content-length: ${body.length}`])
    t.equal(rest, body)
    t.notMatch(head, /trailer|smuggled/i)
  })
}

const arriving: Array<[string, string, string, string, string, string]> = [
  ['a known length', 'content-length: 10', 'hello', 'world', 'content-length: 10', 'helloworld'],
  [
    'chunks', 'transfer-encoding: chunked\r\ntrailer: x', '5\r\nhello\r\n', '6\r\n world\r\n0\r\nx: smuggled\r\n\r\n',
    'transfer-encoding: chunked', '5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n'
  ]
]
for (const [name, header, first, second, framing, arrives] of arriving) {
  t.test(`a body of ${name} is forwarded while it arrives, and framed once`, async t => {
    let sawFirst: () => void
    const firstArrived = new Promise<void>(resolve => { sawFirst = resolve })
    const answer = answering()
    const workload = await startRawWorkload(t, (socket, received) => {
      if (received.includes('hello')) sawFirst()
      answer(socket, received)
    })
    const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
    const client = await rawClient(t, port)
    client.send(`POST /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${header}\r\n\r\n${first}`)
    await firstArrived
    client.send(second)
    t.equal(statusOf(await client.end), 200)
    const [head = '', rest] = workload.received.join('').split(/\r\n\r\n(.*)/s)
    t.same(head.match(framingHeaders), [framing])
    t.equal(rest, arrives)
    t.notMatch(head, /trailer/i)
  })
}

t.test('no request method gets a body that it did not have', async t => {
  const workload = await startRawWorkload(t, socket => socket.write(OK))
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']) {
    await rawExchange(t, port, `${method} /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
  }
  t.notMatch(workload.received.join(''), /transfer-encoding|content-length: [^0]/i)
})

t.test('any content-type is the workload\'s to judge, and none is as good', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  for (const type of [
    'application/json', 'nonsense', 'text/plain; charset', '/', ';;', 'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded'
  ]) {
    for (const method of ['POST', 'PUT', 'DELETE', 'QUERY']) {
      const response = await rawExchange(
        t, port,
        `${method} / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: ${type}\r\ncontent-length: 2\r\n\r\n{"`
      )
      t.equal(statusOf(response), 200, `${method} ${type}`)
      const received = workload.received.pop()
      t.equal(received?.headers['content-type'], type)
      t.equal(received?.body.toString(), '{"')
    }
  }
  for (const method of ['POST', 'QUERY', 'PROPFIND']) {
    const response = await rawExchange(
      t, port, `${method} / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx`
    )
    t.equal(statusOf(response), 200, `${method} without a content-type`)
    t.notOk(workload.received.pop()?.headers['content-type'])
  }
})

t.test('GET and HEAD with a body arrive with it, and no other request follows on their connection', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  for (const method of ['GET', 'HEAD']) {
    for (const framed of [
      'content-length: 5\r\n\r\nhello', 'transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
    ]) {
      const response = await rawExchange(t, port, `${method} / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${framed}`)
      t.equal(statusOf(response), 200)
      // A workload that takes no notice of the body must not take it for a request.
      t.match(workload.received.pop(), { method, headers: { connection: 'close' }, body: Buffer.from('hello') })
    }
  }
})

t.test('a GET with an empty body is a GET without a body, also if that is known late', async t => {
  const workload = await startRawWorkload(t, socket => socket.write(OK))
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS']) {
    for (const [framing, late] of [['content-length: 0', ''], ['transfer-encoding: chunked', '0\r\n\r\n']] as const) {
      const client = await rawClient(t, port)
      client.send(`${method} / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${framing}\r\n\r\n`)
      await setTimeout(20)
      client.send(late)
      t.equal(statusOf(await client.end), 200, `${method}, ${framing}`)
    }
  }
  t.notMatch(workload.received.join(''), /content-length: [^0]|transfer-encoding/)
})

t.test('Expect: 100-continue is answered by the proxy and not forwarded', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  const client = await rawClient(t, port)
  client.send('POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n')
  await client.until('100 Continue')
  client.send('x')
  await client.until('200 OK')
  t.notOk(workload.received[0]?.headers.expect)
})

t.test('any other expectation is left out of account', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  const response = await rawExchange(
    t, port, 'POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: a-cup-of-tea\r\ncontent-length: 1\r\n\r\nx'
  )
  t.equal(statusOf(response), 200)
  t.notOk(workload.received[0]?.headers.expect)
})

t.test('HTTP/1.0 clients are served', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  const response = await rawExchange(t, port, 'GET /old HTTP/1.0\r\n\r\n')
  t.equal(statusOf(response), 200)
  t.match(response, '/old')
  t.notMatch(response, /transfer-encoding/i)
})
