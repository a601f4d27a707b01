// Who may use polaris proxy: not pages of the web, whatever name they call it by, and not other machines unless meant.
import t from 'tap'
import { polaris } from '../../fixtures/polaris-cli.ts'
import { runLocalProxy, send, startChain } from '../../fixtures/local-proxy.ts'

t.setTimeout(300_000)
const { local, proxy, policy, workload } = await startChain(t)
const { port } = local

t.test('only requests by a name of the listener are accepted: a name that was rebound to it is not', async t => {
  const cases: [host: string, status: number][] = [
    [`127.0.0.1:${port}`, 200], [`localhost:${port}`, 200], [`LOCALHOST:${port}`, 200],
    ['127.0.0.1', 421], [`127.0.0.1:${port + 1}`, 421], [`127.0.0.2:${port}`, 421], [`[::1]:${port}`, 421],
    ['localhost', 421],
    [`rebound.example:${port}`, 421], [`127.0.0.1.example:${port}`, 421], [`127.0.0.1:${port}@x`, 421],
    [`x@127.0.0.1:${port}`, 421], [`localhost.:${port}`, 421]
  ]
  const before = workload.received.length
  for (const [host, status] of cases) {
    for (const path of ['/', '/.polaris/verdict']) {
      const answer = await send(local.url + path, { headers: { host } })
      t.equal(answer.status, status, `${host} ${path}`)
      if (status === 421) {
        t.match(
          JSON.parse(answer.body.toString()), { type: 'urn:polaris-secure-proxy:local-proxy:host-not-allowed', status }
        )
      }
    }
  }
  t.equal(workload.received.length - before, 3, 'what was refused went nowhere')
})

t.test('--allow-host adds names, with any port or with one', async t => {
  const { url } = await runLocalProxy(
    t, [proxy.url, '--policy', policy, '--allow-host', 'sidecar', '--allow-host', 'Proxy.Internal:80']
  )
  for (const [host, status] of [
    ['sidecar', 200], ['sidecar:1234', 200], ['proxy.internal:80', 200], ['proxy.internal', 421], ['x.sidecar', 421]
  ] as const) {
    t.equal((await send(url, { headers: { host } })).status, status, host)
  }
})

t.test('what a browser sends for a page is refused, with Origin or without', async t => {
  const cases: [headers: Record<string, string>, status: number][] = [
    [{ origin: 'https://page.example' }, 403], [{ origin: 'null' }, 403], [{ origin: local.url }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403], [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ 'sec-fetch-site': 'none' }, 200]
  ]
  for (const [headers, status] of cases) {
    t.equal((await send(local.url, { headers })).status, status, JSON.stringify(headers))
  }
  const preflight = await send(
    local.url,
    { method: 'OPTIONS', headers: { origin: 'https://page.example', 'access-control-request-method': 'POST' } }
  )
  t.equal(preflight.status, 403)
  t.notOk('access-control-allow-origin' in preflight.headers)
})

t.test('--allow-origin lets pages of that origin in, and answers their preflights here', async t => {
  const { url } = await runLocalProxy(t, [proxy.url, '--policy', policy, '--allow-origin', 'https://app.example'])
  const before = workload.received.length
  const preflight = await send(url, {
    method: 'OPTIONS',
    headers: {
      origin: 'https://app.example',
      'access-control-request-method': 'PUT',
      'access-control-request-headers': 'authorization,x-a',
      'access-control-request-private-network': 'true'
    }
  })
  t.match(preflight, {
    status: 204,
    headers: {
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-methods': 'PUT',
      'access-control-allow-headers': 'authorization,x-a',
      'access-control-allow-private-network': 'true',
      vary: 'origin'
    }
  })
  t.equal(workload.received.length, before)
  const answer = await send(url, { headers: { origin: 'https://app.example', 'sec-fetch-site': 'cross-site' } })
  t.match(answer, { status: 200, headers: { 'access-control-allow-origin': 'https://app.example' } })
  t.equal((await send(url, { headers: { origin: 'https://app.example:8443' } })).status, 403)
})

t.test('other machines: only where the user says so twice', async t => {
  for (const listen of ['0.0.0.0:0', '[::]:0', '192.0.2.1:0']) {
    t.match(
      await polaris(['proxy', proxy.url, '--policy', policy, '--listen', listen]),
      { status: 2, stderr: /--allow-remote/ }, listen
    )
  }
  const { url } = await runLocalProxy(t, [proxy.url, '--policy', policy, '--listen', '0.0.0.0:0', '--allow-remote'])
  const at = url.replace('0.0.0.0', '127.0.0.1')
  t.equal((await send(at)).status, 200, 'by the address that the connection was made to')
  t.equal((await send(at, { headers: { host: url.slice('http://'.length) } })).status, 421)
})

t.test('over IPv6', async t => {
  const { url } = await runLocalProxy(t, [proxy.url, '--policy', policy, '--listen', '[::1]:0'])
  t.match(url, /^http:\/\/\[::1\]:/)
  const { port } = new URL(url)
  t.equal((await send(url)).status, 200)
  t.equal((await send(url, { headers: { host: `[0:0::1]:${port}` } })).status, 200)
  t.equal((await send(url, { headers: { host: `localhost:${port}` } })).status, 200)
  t.equal((await send(url, { headers: { host: `127.0.0.1:${port}` } })).status, 421)
})
