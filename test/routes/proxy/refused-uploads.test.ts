/** Who is refused before all of the request was sent learns why, however much is still on its way. */
import { EventEmitter, once } from 'node:events'
import type { ServerResponse } from 'node:http'
import axios from 'axios'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, statusOf } from '../../fixtures/raw.ts'
import type { RawClient } from '../../fixtures/raw.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import { startWorkload } from '../../fixtures/workload.ts'

/** More than the buffers of a connection take on the way. */
const UPLOAD = Buffer.alloc(20 * 2 ** 20, 'x')
const encrypted = { enableInputEncryption: true, maxBodyBytes: 10_000 }

async function setUp (t: Test, config: ConfigInput = encrypted) {
  const workload = await startWorkload(t)
  return { workload, ...await startProxy(t, { workloadBaseUrl: workload.url, ...config }) }
}

/** The headers of a v1 request, whose message is too large. */
async function v1Headers (url: string): Promise<Record<string, string>> {
  return (await (await v1Client(url)).request({ target: '/x', sealedResponse: false })).headers
}

const lines = (headers: Record<string, string>) =>
  Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
const known = `content-length: ${UPLOAD.length}\r\n\r\n`
const chunked = (body: Buffer) => Buffer.concat(
  [Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]
)

/** A whole v1 message of a length that is announced nowhere: 413 comes while it is read. */
async function v1Message (url: string): Promise<Buffer> {
  const { body } = await (await v1Client(url)).request({ body: UPLOAD })
  return Buffer.from(body ?? '')
}

/** Takes nothing before everything is sent. */
async function sendAll (client: RawClient, ...pieces: (string | Buffer)[]): Promise<string> {
  client.socket.pause()
  for (const piece of pieces) {
    await new Promise<void>(
      (resolve, reject) => { client.socket.write(piece, error => error ? reject(error) : resolve()) }
    )
  }
  client.socket.resume()
  return client.end
}

/** One answer, all of it. */
function isProblem (t: Test, response: string, status: number, type: string): void {
  const [head = '', body = ''] = response.split('\r\n\r\n')
  t.equal(statusOf(head), status)
  t.match(head, /\r\nconnection: close/i)
  t.match(JSON.parse(body), { type: `urn:polaris-secure-proxy:problem:${type}`, status })
  t.equal(Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1]), body.length)
}

t.test('a client that reads nothing before all is sent gets the whole answer', async t => {
  const { url, port, workload, log } = await setUp(t)
  const v1 = lines(await v1Headers(url))
  const post = (target: string, headers: string) => `POST ${target} HTTP/1.1\r\nhost: x\r\n${headers}`
  const cases: [name: string, head: string, body: Buffer, status: number, type: string][] = [
    ['too large, with content-length', post('/', v1 + known), UPLOAD, 413, 'body-too-large'],
    [
      'too large, chunked', post('/', `${v1}transfer-encoding: chunked\r\n\r\n`), chunked(await v1Message(url)), 413,
      'body-too-large'
    ],
    ['not encrypted', post('/', known), UPLOAD, 400, 'encryption-required'],
    [
      'not encrypted, chunked', post('/', 'transfer-encoding: chunked\r\n\r\n'), chunked(UPLOAD), 400,
      'encryption-required'
    ],
    ['OHTTP, too large', post('/', `content-type: message/ohttp-req\r\n${known}`), UPLOAD, 413, 'body-too-large'],
    ['without Host', `POST / HTTP/1.1\r\n${known}`, UPLOAD, 400, 'bad-request'],
    [
      'to an endpoint of the proxy itself',
      post('/polaris-container/attestation', `content-type: application/json\r\n${known}`), UPLOAD, 413,
      'body-too-large'
    ]
  ]
  for (const [name, head, body, status, type] of cases) {
    await t.test(name, async t => isProblem(t, await sendAll(await rawClient(t, port), head, body), status, type))
  }
  t.same(workload.received, [])
  t.notMatch(log.join(''), /internal error|already sent/i)
})

t.test('clients of HTTP get the status, and no broken connection', async t => {
  const { url } = await setUp(t)
  const headers = await v1Headers(url)
  for (let i = 0; i < 30; i++) {
    t.equal((await axios.post(url, UPLOAD, { headers, validateStatus: null })).status, 413, 'axios')
    t.equal((await fetch(url, { method: 'POST', headers, body: UPLOAD })).status, 413, 'fetch')
  }
})

t.test('what follows the body of a refused request is no request', async t => {
  const second = 'GET /second HTTP/1.1\r\nhost: x\r\n\r\n'

  t.test('behind a large body', async t => {
    const { port, workload } = await setUp(t, { enableOhttp: true, ohttpMaxBodyBytes: 10_000 })
    const head = 'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: message/ohttp-req\r\n'
    for (const pieces of [
      [head + known, UPLOAD, second], [`${head}content-length: 10001\r\n\r\n`, second.repeat(1000)]
    ]) {
      isProblem(t, await sendAll(await rawClient(t, port), ...pieces), 413, 'body-too-large')
    }
    t.same(workload.received, [])
  })

  t.test('in one piece with it', async t => {
    const { port, workload } = await setUp(t, {})
    isProblem(
      t, await sendAll(await rawClient(t, port), `POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc${second}`), 400,
      'bad-request'
    )
    t.same(workload.received, [])
  })

  t.test('while an earlier request on the connection is still unanswered', async t => {
    const events = new EventEmitter()
    const targets: (string | undefined)[] = []
    const workload = await startWorkload(t, ({ url }, response) => {
      targets.push(url)
      events.emit('request', response)
    })
    const { port, log } = await startProxy(t, { workloadBaseUrl: workload.url, ohttpMaxBodyBytes: 10_000 })
    const reached = once(events, 'request') as Promise<[ServerResponse]>
    const client = await rawClient(t, port)
    client.send('GET /first HTTP/1.1\r\nhost: x\r\n\r\n')
    const [response] = await reached
    client.send('POST / HTTP/1.1\r\nhost: x\r\ncontent-type: message/ohttp-req\r\ncontent-length: 10001\r\n\r\n')
    while (!log.join('').includes('"request refused"')) await new Promise(resolve => setImmediate(resolve))
    client.send('x'.repeat(10_001) + second)
    // Another connection, so that there was time to take notice of it.
    t.equal((await fetch(`http://127.0.0.1:${port}/polaris-container/livez`)).status, 200)
    response.end('first')
    const answers = await client.end
    t.match(answers, /^HTTP\/1\.1 200 /)
    isProblem(t, answers.slice(answers.lastIndexOf('HTTP/1.1')), 413, 'body-too-large')
    t.same(targets, ['/first'])
  })
})

t.test('a client that goes on sending for ever is let go', async t => {
  const { port } = await setUp(t)
  const client = await rawClient(t, port, { allowHalfOpen: true })
  client.send('POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n')
  const sending = setInterval(() => client.send(`400\r\n${'x'.repeat(0x400)}\r\n`), 10)
  t.teardown(() => clearInterval(sending))
  isProblem(t, await client.end, 400, 'encryption-required')
})
