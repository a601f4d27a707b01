/** Addresses in response headers lead clients back through the proxy, never to where only the proxy can go. */
import t from 'tap'
import { createAddressRewriter } from '../../../lib/http/addresses.ts'
import { startModes } from '../../fixtures/modes.ts'
import { valuesOf } from '../../fixtures/raw-response.ts'
import { startRawWorkload } from '../../fixtures/raw.ts'

const cases: Array<[base: string, root: string, sent: string, arrives: string]> = [
  ['http://localhost:3001', '', 'http://localhost:3001/items/', '/items/'],
  ['http://localhost:3001', '', 'HTTP://LocalHost:3001/items/?a=b#c', '/items/?a=b#c'],
  ['http://localhost:3001', '', 'http://127.0.0.1:3001/items/', '/items/'],
  ['http://localhost:3001', '', 'http://[::1]:3001/items/', '/items/'],
  ['http://localhost:3001', '', '//localhost:3001/items/', '/items/'],
  ['http://localhost:3001', '', 'https://localhost:3001/items/', '/items/'],
  ['http://localhost:3001', '', 'http://localhost:3001', '/'],
  ['http://localhost:3001', '', 'http://localhost:3001?a', '/?a'],
  ['http://localhost:3001', '', 'http://localhost:3001#a', '/#a'],
  ['http://localhost:3001', '', 'http://localhost:3001/日/\xe6', '/日/\xe6'],
  ['http://localhost:3001', '', 'http://localhost:3001//evil.example/', '/.//evil.example/'],
  ['http://localhost:3001', '', 'http://localhost:3001/\\evil.example/', '/./\\evil.example/'],
  ['http://localhost:3001', '', 'http://localhost:3002/items/', 'http://localhost:3002/items/'],
  ['http://localhost:3001', '', 'http://localhost/items/', 'http://localhost/items/'],
  ['http://localhost:3001', '', 'http://localhost:3001@evil.example/', 'http://localhost:3001@evil.example/'],
  ['http://localhost:3001', '', 'http://localhost:3001.evil.example/', 'http://localhost:3001.evil.example/'],
  ['http://localhost:3001', '', 'https://app.example/x', 'https://app.example/x'],
  ['http://localhost:3001', '', '/items/', '/items/'],
  ['http://localhost:3001', '', 'items/', 'items/'],
  ['http://localhost:3001', '', '', ''],
  ['http://localhost:3001', '', '?page=2', '?page=2'],
  ['http://localhost:3001', '', 'ftp://localhost:3001/x', 'ftp://localhost:3001/x'],
  ['http://app.internal', '', 'http://app.internal/x', '/x'],
  ['http://app.internal', '', 'http://app.internal:80/x', '/x'],
  ['http://app.internal', '', 'http://127.0.0.1/x', 'http://127.0.0.1/x'],
  ['https://app.internal', '', 'https://app.internal:443/x', '/x'],
  ['http://localhost:3001/api', '', 'http://localhost:3001/api/items/', '/items/'],
  ['http://localhost:3001/api', '', 'http://localhost:3001/api', '/'],
  ['http://localhost:3001/api/', '', 'http://localhost:3001/apiary', '/apiary'],
  ['http://localhost:3001/api', '', 'http://localhost:3001/login', '/login'],
  ['http://localhost:3001/api', '', '/api/items/', '/items/'],
  ['http://localhost:3001/api', '', '/login', '/login'],
  ['http://localhost:3001', '/proxy', 'http://localhost:3001/items/', '/proxy/items/'],
  ['http://localhost:3001', '/proxy', '/items/', '/proxy/items/'],
  ['http://localhost:3001', '/proxy', '/proxy/items/', '/proxy/items/'],
  ['http://localhost:3001', '/proxy', '/proxyx', '/proxy/proxyx'],
  ['http://localhost:3001', '/proxy', 'items/', 'items/'],
  ['http://localhost:3001', '/proxy', 'http://localhost:3001//evil.example/', '/proxy//evil.example/'],
  ['http://localhost:3001/api', '/proxy', 'http://localhost:3001/api/items/', '/proxy/items/'],
  ['http://localhost:3001/api', '/proxy', '/api/items/', '/proxy/items/']
]

t.test('of an address of the workload itself, the part that clients can reach is left', async t => {
  for (const [base, root, sent, arrives] of cases) {
    const headers = { location: sent, 'content-location': sent, refresh: `5; url=${sent}`, link: sent }
    createAddressRewriter(new URL(base))(headers, root)
    t.same(
      headers, { location: arrives, 'content-location': arrives, refresh: `5; url=${arrives}`, link: sent },
      `${base}, ${root}: ${sent}`
    )
  }
})

t.test('an address in Refresh is found however it is written', async t => {
  const rewrite = createAddressRewriter(new URL('http://localhost:3001'))
  for (const [sent, arrives] of [
    ['5', '5'], ['0;url=http://localhost:3001/x', '0;url=/x'], ['0, URL = "http://localhost:3001/x"', '0, URL = "/x"'],
    ['0; \'http://localhost:3001/x\'', '0; \'/x\''],
    ['0; http://localhost:3001/x', '0; /x'], ['', ''], ['x', 'x'], [';'.repeat(9), ';'.repeat(9)],
    [`5;${' '.repeat(50_000)}x`, `5;${' '.repeat(50_000)}x`]
  ]) {
    const headers = { refresh: sent }
    rewrite(headers, '')
    t.equal(headers.refresh, arrives)
  }
})

t.test('a redirect to the host that the workload was asked for is one that every client can follow', async t => {
  let target = ''
  const workload = await startRawWorkload(t, (socket, received) => {
    const host = /^host: (.*)\r$/im.exec(received.toString())?.[1]
    socket.end(`HTTP/1.1 307 x\r\ncontent-length: 0\r\nlocation: http://${host}${target}\r\nlocation-is: ` +
      `http://${host}/\r\n\r\n`, 'latin1')
  })
  const modes = (await startModes(t, workload.url)).slice(1)
  for (target of ['/items/', '/\xe4\xb8\x8a\xe6\xb5\xb7/', '/x?y#z']) {
    for (const mode of modes) t.same(valuesOf((await mode.send()).fields, 'location'), [target], mode.name)
  }
})
