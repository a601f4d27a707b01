/** What servers do that libraries do not expect: each has one right outcome, in every mode. */
import t from 'tap'
import { startModes } from '../../fixtures/modes.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient, startRawWorkload } from '../../fixtures/raw.ts'
import { encapsulate, fetchKey, requestHead, send } from '../../fixtures/ohttp-client.ts'

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

const continued: Array<[string, readonly string[]]> = [
  ['one', [`HTTP/1.1 100 Continue\r\n\r\n${OK}`]],
  ['several, with headers', [`HTTP/1.1 100 Continue\r\nx-a: 1\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.0 100 x\r\n\r\n${OK}`]],
  ['one in a packet of its own', ['HTTP/1.1 100 Continue\r\n\r\n', OK]],
  ['one in pieces', ['H', 'TTP/1.1 10', '0 Continue\r\nx-a', ': 1\r\n\r', '\n', 'HT', OK.slice(2)]],
  ['one behind early hints', [`HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${OK}`]]
]
t.test('a workload may say 100 Continue unasked, on a connection that is used again', async t => {
  let pieces: readonly string[] = []
  let requests = 0
  const workload = await startRawWorkload(t, async socket => {
    requests++
    for (const piece of pieces) {
      socket.write(piece)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  })
  for (const mode of (await startModes(t, workload.url)).slice(1)) {
    for (const [name, sent] of continued) {
      pieces = sent
      const { status, body } = await mode.send()
      t.same([status, body.toString()], [200, 'ok'], `${mode.name}: ${name}`)
    }
  }
  t.ok(workload.received.length < requests, 'connections are kept')
})

t.test('interim responses without an end do not keep a client waiting', async t => {
  for (const [name, line] of [
    ['early hints', 'HTTP/1.1 103 Early Hints\r\n\r\n'], ['100 Continue', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['processing', 'HTTP/1.1 102 Processing\r\n\r\n']
  ] as const) {
    for (const [pace, status] of [[40, 504], [1, 502]] as const) {
      const workload = await startRawWorkload(t, socket => {
        const timer = setInterval(() => socket.write(line), pace)
        socket.once('close', () => clearInterval(timer))
      })
      const proxy = await startProxy(t, { workloadBaseUrl: workload.url, workloadHeadersTimeout: '1500ms' })
      const got = (await fetch(proxy.url)).status
      t.ok(got === status || got === 504, `${name} every ${pace} ms: ${got}`)
    }
  }
})

t.test('a transfer coding that the proxy does not decode is an error, not content', async t => {
  let coding = ''
  const workload = await startRawWorkload(
    t, socket => socket.end(`HTTP/1.1 200 OK\r\ntransfer-encoding: ${coding}\r\n\r\n2\r\nok\r\n0\r\n\r\n`)
  )
  for (const mode of (await startModes(t, workload.url)).slice(1)) {
    for (const given of [
      'gzip, chunked', 'gzip,chunked', 'deflate, gzip, chunked', 'x\r\ntransfer-encoding: chunked', 'gzip'
    ]) {
      coding = given
      t.equal((await mode.send()).status, 502, `${mode.name}: ${given}`)
    }
    for (const given of ['chunked', 'Chunked', ' chunked ']) {
      coding = given
      t.equal((await mode.send()).body.toString(), 'ok', `${mode.name}: ${given}`)
    }
  }
})

t.test('a response without a length that ends with a reset is not taken for a whole one', async t => {
  const workload = await startRawWorkload(t, socket => {
    socket.write('HTTP/1.1 200 OK\r\n\r\nhello')
    setTimeout(() => socket.resetAndDestroy(), 30)
  })
  for (const mode of (await startModes(t, workload.url)).slice(1)) {
    const outcome = await mode.send().then(({ status }) => status, () => 'incomplete')
    t.ok(outcome === 'incomplete' || outcome === 502, `${mode.name}: ${outcome}`)
  }
})

t.test('a response that is cut off is a reset for an HTTP/1.0 client, and complete for one that is not', async t => {
  let isCut = true
  const workload = await startRawWorkload(t, socket => {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n')
    setTimeout(() => socket.end(isCut ? '' : '0\r\n\r\n'), 30)
  })
  const { port } = await startProxy(t, { workloadBaseUrl: workload.url })
  for (isCut of [true, false]) {
    const client = await rawClient(t, port)
    const ended = new Promise(resolve => client.socket.once(
      'error', ({ code }: NodeJS.ErrnoException) => resolve(code)
    ).once('end', () => resolve('end')))
    client.send('GET / HTTP/1.0\r\n\r\n')
    t.equal(await ended, isCut ? 'ECONNRESET' : 'end')
  }
})

const cut: Array<[string, string]> = [
  ['a reset within a known length', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello'],
  ['a reset within chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n'],
  ['a reset within headers', 'HTTP/1.1 200 OK\r\nx-a']
]
for (const [name, sent] of cut) {
  for (const delay of [0, 30]) {
    t.test(`OHTTP, ${name}, ${delay} ms later: 502 inside, and the log says what happened`, async t => {
      const workload = await startRawWorkload(t, socket => {
        socket.write(sent)
        setTimeout(() => socket.resetAndDestroy(), delay)
      })
      const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
      const request = await encapsulate(
        await fetchKey(proxy.url), requestHead('GET', '/'), undefined, { chunked: false }
      )
      const inner = await request.open(await send(proxy.url, request))
      t.equal(inner.status, 502)
      t.notMatch(proxy.log.join(''), /"type":"object"|internal error/)
    })
  }
}
