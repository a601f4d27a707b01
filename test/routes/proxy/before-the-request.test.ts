/** What the server says before, or in place of, handling a request: parser errors, 100 Continue, upgrades. */
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { exchangeBytes } from '../../fixtures/modes.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, rawExchange, statusOf } from '../../fixtures/raw.ts'
import { readResponse, valuesOf } from '../../fixtures/raw-response.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const origin = 'https://app.example.com'
const refused: Array<[string, number]> = [
  [`GET / HTTP/1.1\r\nhost: x\r\norigin: ${origin}\r\nx: ${'y'.repeat(80_000)}\r\n\r\n`, 431],
  [`GET / HTTP/1.1\r\nhost: x\r\norigin: ${origin}\r\nbad name: y\r\n\r\n`, 400],
  [`POST / HTTP/1.1\r\nhost: x\r\norigin: ${origin}\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n`, 400],
  [`CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\norigin: ${origin}\r\n\r\n`, 501],
  [`POST / HTTP/1.1\r\nhost: x\r\norigin: ${origin}\r\nconnection: close\r\ntransfer-encoding: gzip, ` +
    'chunked\r\n\r\n0\r\n\r\n', 501],
  [`GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\nconnection: close\r\norigin: ${origin}\r\n\r\n`, 400]
]

t.test('whatever is refused before it becomes a request can be read by pages, and is dated', async t => {
  for (const [corsOrigin, expected] of [['*', '*'], [origin, origin], ['https://other.example', undefined]] as const) {
    const { port } = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9', corsOrigin })
    for (const [request, status] of refused) {
      const response = readResponse(await exchangeBytes(port, request))
      t.equal(response.status, status)
      if (corsOrigin === '*' || status !== 431) {
        t.same(
          valuesOf(response.fields, 'access-control-allow-origin'), expected === undefined ? [] : [expected],
          `${corsOrigin}, ${status}`
        )
      }
      t.ok(Date.parse(valuesOf(response.fields, 'date')[0] ?? '') > 0)
      t.match(JSON.parse(response.body.toString()), { status })
    }
  }
})

t.test('a client that still sends large headers can read that they are too large', async t => {
  const { port } = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9' })
  for (let i = 0; i < 60; i++) {
    const answer = await rawExchange(
      t, port, `GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(80_000 + 7000 * i)}\r\n\r\n`
    )
    if (statusOf(answer) !== 431) t.equal(statusOf(answer), 431, `${i}`)
    if (!answer.endsWith('}')) t.fail(`cut off: ${i}`)
  }
  t.pass('all of them')
})

t.test('a transfer coding that the proxy does not decode is refused in requests', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  for (const coding of ['gzip, chunked', 'gzip,chunked', 'x\r\ntransfer-encoding: chunked', 'deflate, gzip, chunked']) {
    const response = await rawExchange(
      t, port,
      `POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: ${coding}\r\n\r\n2\r\nok\r\n0\r\n\r\n`
    )
    t.equal(statusOf(response), 501, coding)
    t.match(response, 'urn:polaris-secure-proxy:problem:transfer-coding')
  }
  t.same(workload.received, [])
})

t.test('a request that is refused by its head is not asked for its body', async t => {
  const { port } = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9', maxBodyBytes: 1024 * 1024 })
  for (const [head, status] of [
    ['POST / HTTP/1.1\r\ncontent-type: message/ohttp-req', 413], ['POST /polaris-container/x HTTP/1.1', 404],
    ['POST /polaris-container/attestation HTTP/1.1\r\ncontent-type: application/json', 413]
  ] as const) {
    const client = await rawClient(t, port)
    client.send(`${head}\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 999999999\r\n\r\n`)
    await client.until(/\r\n\r\n.*\}/s)
    t.equal(statusOf(client.text()), status, head)
  }
})

t.test('a request that is not refused is asked for its body once, when somebody reads it', async t => {
  const workload = await startWorkload(t)
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  const client = await rawClient(t, port)
  for (const body of ['a', 'b']) {
    client.send('POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n')
    await client.until(body === 'a' ? '100 Continue' : /(?:100 Continue.*){2}/s)
    client.send(body)
    await client.until(body === 'a' ? '200 OK' : /(?:200 OK.*){2}/s)
  }
  t.same(workload.received.map(({ body }) => body.toString()), ['a', 'b'])
  t.equal(client.text().match(/100 Continue/g)?.length, 2)
})

const upgrade = 'connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n'
t.test('requests around one to upgrade are all answered, in order, with their bodies', async t => {
  const workload = await startWorkload(t, async (request, response) => {
    if (request.url === '/slow') await setTimeout(100)
    let body = ''
    for await (const piece of request.setEncoding('latin1')) body += piece
    response.end(`<${request.url} ${body}>`)
  })
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  const last = 'GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'
  for (const [name, requests, expected] of [
    ['one behind', [`GET /1 HTTP/1.1\r\nhost: x\r\n${upgrade}\r\n`, last], ['</1 >', '</last >']],
    [
      'two to upgrade',
      [`GET /1 HTTP/1.1\r\nhost: x\r\n${upgrade}\r\nGET /2 HTTP/1.1\r\nhost: x\r\n${upgrade}\r\n`, last],
      ['</1 >', '</2 >', '</last >']
    ],
    [
      'a body', [`POST /1 HTTP/1.1\r\nhost: x\r\n${upgrade}content-length: 4\r\n\r\nbody`, last],
      ['</1 body>', '</last >']
    ],
    [
      'chunks',
      [`POST /1 HTTP/1.1\r\nhost: x\r\n${upgrade}transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n`, last],
      ['</1 body>', '</last >']
    ],
    [
      'a slow one before',
      ['GET /slow HTTP/1.1\r\nhost: x\r\n\r\n', `GET /1 HTTP/1.1\r\nhost: x\r\n${upgrade}\r\n`, last],
      ['</slow >', '</1 >', '</last >']
    ]
  ] as const) {
    for (const atOnce of [true, false]) {
      const client = await rawClient(t, port)
      if (atOnce) client.send(requests.join(''))
      else {
        for (const request of requests) {
          client.send(request)
          await setTimeout(30)
        }
      }
      t.same((await client.end).match(/<.*?>/g), expected, `${name}, ${atOnce ? 'in one packet' : 'one by one'}`)
    }
  }
})

t.test('a client that breaks off within a request to upgrade does no harm', async t => {
  const workload = await startWorkload(t)
  const { url, port } = await startProxy(t, { workloadBaseUrl: workload.url })
  for (let i = 0; i < 10; i++) {
    const client = await rawClient(t, port)
    client.send(`POST /1 HTTP/1.1\r\nhost: x\r\n${upgrade}content-length: 4\r\n\r\nb`)
    await setTimeout(i)
    client.socket.resetAndDestroy()
  }
  t.equal((await fetch(url)).status, 200)
})

t.test('event streams pass through a buffering proxy in front; nothing else is marked', async t => {
  const workload = await startWorkload(t, (request, response) => {
    response.writeHead(
      200, { 'content-type': request.url === '/events' ? 'text/event-stream; charset=utf-8' : 'text/plain' }
    ).end()
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  t.equal((await fetch(`${url}/events`)).headers.get('x-accel-buffering'), 'no')
  t.equal((await fetch(url)).headers.get('x-accel-buffering'), null)
})
