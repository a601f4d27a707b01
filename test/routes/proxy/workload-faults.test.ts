/**
 * Whatever is wrong with the workload, the client learns its kind and nothing else, and takes nothing incomplete for
 * whole.
 */
import type { Socket } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { freePort } from '../../fixtures/process.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import type { Proxy } from '../../fixtures/proxy.ts'
import { rawClient, rawExchange, startRawWorkload, statusOf } from '../../fixtures/raw.ts'
import { v1Client } from '../../fixtures/v1-client.ts'

const SECRET = 'hunter2'
const clear: ConfigInput = {}
const sealed: ConfigInput = { enableInputEncryption: true, enableOutputEncryption: true }

/** One GET in the clear or the sealed way; the raw response. */
async function get (t: Test, { url, port }: Proxy, config: ConfigInput): Promise<string> {
  const headers = config === clear ? {} : (await (await v1Client(url)).request({ target: '/x' })).headers
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return rawExchange(t, port, `GET /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${lines}\r\n`)
}

function isProblem (t: Test, response: string, status: number, type: string, { log }: Proxy): void {
  t.equal(statusOf(response), status)
  t.match(response, /\r\ncontent-type: application\/problem\+json\r\n/)
  const body = response.slice(response.indexOf('\r\n\r\n') + 4)
  t.match(JSON.parse(body), { type: `urn:polaris-secure-proxy:problem:${type}`, status, requestId: /^[\da-f-]{36}$/ })
  t.notMatch(body, /127\.0\.0\.1|ECONN|UND_ERR|HPE_|hunter2|\/x/)
  t.notMatch(log.join(''), SECRET)
}

const head = 'HTTP/1.1 200 OK\r\nx-secret: hunter2\r\n'
const faults: Array<[string, string, number, string]> = [
  ['closes at once', '', 502, 'upstream-unreachable'],
  ['sends no HTTP', `${SECRET}\r\n\r\n`, 502, 'upstream-invalid'],
  ['sends another protocol\'s greeting', `SSH-2.0-${SECRET}\r\n`, 502, 'upstream-invalid'],
  ['breaks off within its headers', `${head}x-y: ${SECRET}`, 502, 'upstream-unreachable'],
  ['sends a header without a name', `${head}: ${SECRET}\r\n\r\n`, 502, 'upstream-invalid'],
  ['sends a header with a control character', `${head}x-y: ${SECRET}\x00\r\n\r\n`, 502, 'upstream-invalid'],
  ['sends a header name with a space', `${head}x y: ${SECRET}\r\n\r\n`, 502, 'upstream-invalid'],
  [
    'frames its response twice',
    `${head}content-length: 7\r\ntransfer-encoding: chunked\r\n\r\n7\r\n${SECRET}\r\n0\r\n\r\n`, 502, 'upstream-invalid'
  ],
  [
    'contradicts its own length', `${head}content-length: 7\r\ncontent-length: 3\r\n\r\n${SECRET}`, 502,
    'upstream-invalid'
  ],
  ['sends a length that is no number', `${head}content-length: ${SECRET}\r\n\r\n`, 502, 'upstream-invalid'],
  [
    'sends a status code past 599', `HTTP/1.1 600 ${SECRET}\r\ncontent-length: 7\r\n\r\n${SECRET}`, 502,
    'upstream-invalid'
  ],
  ['sends status code 999', `HTTP/1.1 999 ${SECRET}\r\ncontent-length: 7\r\n\r\n${SECRET}`, 502, 'upstream-invalid'],
  ['sends a status code of four digits', `HTTP/1.1 2000 ${SECRET}\r\n\r\n`, 502, 'upstream-invalid'],
  [
    'switches protocols unasked',
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n${SECRET}`, 502,
    'upstream-unreachable'
  ]
]

for (const [mode, config] of [['in clear', clear], ['sealed', sealed]] as const) {
  for (const [fault, answer, status, type] of faults) {
    t.test(`a workload that ${fault}, ${mode}: ${status}`, async t => {
      const workload = await startRawWorkload(t, socket => socket.end(Buffer.from(answer, 'latin1')))
      const proxy = await startProxy(t, { workloadBaseUrl: workload.url, ...config })
      isProblem(t, await get(t, proxy, config), status, type, proxy)
      t.equal(statusOf(await rawExchange(
        t, proxy.port, 'GET /polaris-container/livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'
      )), 200, 'serves on')
    })
  }

  t.test(`a workload that is down, ${mode}: 502`, async t => {
    const proxy = await startProxy(t, { workloadBaseUrl: `http://127.0.0.1:${await freePort()}`, ...config })
    isProblem(t, await get(t, proxy, config), 502, 'upstream-unreachable', proxy)
  })

  t.test(`a workload that accepts and never answers, ${mode}: 504`, async t => {
    const workload = await startRawWorkload(t, () => undefined)
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url, workloadHeadersTimeout: '1s', ...config })
    isProblem(t, await get(t, proxy, config), 504, 'upstream-timeout', proxy)
  })

  t.test(`a workload that sends 100 MB of headers, ${mode}: 502, and is cut off`, async t => {
    let sent = 0
    const line = Buffer.from(`x-y: ${SECRET}${'z'.repeat(8000)}\r\n`)
    const workload = await startRawWorkload(t, socket => {
      const pump = () => {
        while (sent < 100 * 2 ** 20 && socket.writable) {
          sent += line.length
          if (!socket.write(line)) return
        }
      }
      socket.write(head)
      socket.on('drain', pump)
      pump()
    })
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url, ...config })
    isProblem(t, await get(t, proxy, config), 502, 'upstream-invalid', proxy)
    t.ok(sent < 50 * 2 ** 20, 'most of it was never sent')
  })
}

const incomplete: Array<[string, string, (socket: Socket) => void]> = [
  ['dies within a body of known length', `${head}content-length: 100\r\n\r\npart`, socket => socket.end()],
  [
    'resets within a body of known length', `${head}content-length: 100\r\n\r\npart`, socket => socket.resetAndDestroy()
  ],
  ['dies within a chunked body', `${head}transfer-encoding: chunked\r\n\r\n4\r\npart\r\n`, socket => socket.end()],
  [
    'resets within a chunked body', `${head}transfer-encoding: chunked\r\n\r\n4\r\npart\r\n`,
    socket => socket.resetAndDestroy()
  ],
  ['dies within a chunk', `${head}transfer-encoding: chunked\r\n\r\nff\r\npart`, socket => socket.end()],
  [
    'breaks the chunked coding', `${head}transfer-encoding: chunked\r\n\r\n4\r\npart\r\n`,
    socket => socket.write('zz\r\n')
  ]
]

for (const [fault, answer, finish] of incomplete) {
  t.test(`a workload that ${fault}: the client's connection is reset after what it got`, async t => {
    let connection: Socket | undefined
    const workload = await startRawWorkload(t, socket => {
      connection = socket
      socket.write(answer)
    })
    const { url, log } = await startProxy(t, { workloadBaseUrl: workload.url })
    const response = await fetch(url)
    t.equal(response.status, 200)
    const reader = response.body?.getReader()
    t.equal(Buffer.from((await reader?.read())?.value ?? '').toString(), 'part')
    if (connection) finish(connection)
    await t.rejects(reader?.read() as Promise<unknown>)
    t.notMatch(log.join(''), SECRET)
  })

  t.test(`a workload that ${fault}, all at once: nothing that looks complete`, async t => {
    const workload = await startRawWorkload(t, socket => {
      socket.write(answer)
      finish(socket)
    })
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
    const response = await get(t, proxy, clear)
    if (statusOf(response) === 502) {
      isProblem(t, response, 502, 'upstream-', proxy)
      t.notMatch(response, /x-secret|content-length: 100/)
    } else {
      t.ok(response === '' || (response.startsWith('HTTP/1.1 200') && !response.endsWith('0\r\n\r\n')), response)
    }
  })

  t.test(`a workload that ${fault}, sealed: 502, since nothing was sent yet`, async t => {
    const workload = await startRawWorkload(t, socket => {
      socket.write(answer)
      setImmediate(finish, socket)
    })
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url, ...sealed })
    const response = await get(t, proxy, sealed)
    t.notMatch(response, /x-secret/)
    isProblem(t, response, 502, 'upstream-', proxy)
  })
}

t.test('a workload that falls silent within its body: reset in clear, 504 sealed', async t => {
  const workload = await startRawWorkload(t, socket => socket.write(`${head}content-length: 100\r\n\r\npart`))
  const inClear = await startProxy(t, { workloadBaseUrl: workload.url, workloadIdleTimeout: '1s' })
  const response = await fetch(inClear.url)
  await t.rejects(response.text())
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, workloadIdleTimeout: '1s', ...sealed })
  isProblem(t, await get(t, proxy, sealed), 504, 'upstream-timeout', proxy)
})

t.test('a workload that closes a kept-alive connection is connected to anew', async t => {
  const workload = await startRawWorkload(
    t, socket => socket.end('HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok')
  )
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  for (let i = 1; i <= 3; i++) {
    t.equal(await (await fetch(url)).text(), 'ok')
    t.equal(workload.received.length, i)
  }
})

t.test('a connection that is idle is given up before a workload would that does not say when', async t => {
  const ended = Promise.withResolvers<string>()
  const workload = await startRawWorkload(t, socket => {
    socket.once('end', () => ended.resolve('the proxy'))
    setTimeout(() => ended.resolve('the workload'), 3500)
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  t.equal(await (await fetch(url)).text(), 'ok')
  t.equal(await ended.promise, 'the proxy')
})

t.test('a workload that breaks off its answer to half an HTTP/1.0 upload does not end the proxy', async t => {
  const workload = await startRawWorkload(t, socket => {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegun\r\n')
    setTimeout(() => socket.resetAndDestroy(), 50)
  })
  const { url, port } = await startProxy(t, { workloadBaseUrl: workload.url })
  const client = await rawClient(t, port)
  client.send('POST / HTTP/1.0\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf')
  await client.end.catch(error => t.match(error, { code: 'ECONNRESET' }))
  t.match(client.text(), /begun/)
  t.equal((await fetch(`${url}/polaris-container/livez`)).status, 200)
})
