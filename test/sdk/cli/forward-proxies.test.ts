// HTTPS_PROXY, HTTP_PROXY and NO_PROXY as curl honours them: which proxy for which URL, and the command through a real
// one.
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { simulated } from '../../../lib/platforms/local/simulated-evidence.ts'
import { forwardProxyFor } from '../../../sdk/cli/network/forward-proxy.ts'
import { selfSigned } from '../../fixtures/certificate.ts'
import { runLocalProxy, send } from '../../fixtures/local-proxy.ts'
import { polaris } from '../../fixtures/polaris-cli.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { startWorkload } from '../../fixtures/workload.ts'

t.setTimeout(240_000)

const p = 'http://p.example:3128'
const cases: [url: string, environment: Record<string, string>, variable: string | undefined][] = [
  ['https://a.example/', {}, undefined],
  ['https://a.example/', { HTTPS_PROXY: p }, 'HTTPS_PROXY'],
  ['https://a.example/', { https_proxy: p, HTTPS_PROXY: 'http://other' }, 'https_proxy'],
  ['https://a.example/', { HTTP_PROXY: p }, undefined],
  ['http://a.example/', { HTTP_PROXY: p }, 'HTTP_PROXY'],
  ['http://a.example/', { HTTPS_PROXY: p }, undefined],
  ['https://a.example/', { ALL_PROXY: p }, 'ALL_PROXY'],
  ['https://a.example/', { ALL_PROXY: 'http://other', https_proxy: p }, 'https_proxy'],
  ['https://a.example/', { HTTPS_PROXY: '' }, undefined],
  ['https://a.example/', { HTTPS_PROXY: ' p.example:3128 ' }, 'HTTPS_PROXY'],
  ...([
    ['*', undefined], ['a.example', undefined], ['A.EXAMPLE', undefined], ['.a.example', undefined],
    ['*.example', undefined], ['example', undefined], ['b.example, a.example', undefined],
    ['b.example a.example', undefined], ['a.example:443', undefined], ['a.example.', undefined],
    ['', p], ['b.example', p], ['xa.example', p], ['a.exampl', p], ['a.example:8443', p], ['.', p]
  ] as const).map(([list, used]): typeof cases[number] => [
    'https://a.example/', { HTTPS_PROXY: p, NO_PROXY: list }, used && 'HTTPS_PROXY'
  ]),
  ['https://x.a.example/', { HTTPS_PROXY: p, no_proxy: 'a.example' }, undefined],
  ['https://a.example/', { HTTPS_PROXY: p, no_proxy: 'x.a.example' }, 'HTTPS_PROXY'],
  ['https://a.example./', { HTTPS_PROXY: p, NO_PROXY: 'a.example' }, undefined],
  ['https://10.1.2.3/', { HTTPS_PROXY: p, NO_PROXY: '10.0.0.0/8' }, undefined],
  ['https://11.1.2.3/', { HTTPS_PROXY: p, NO_PROXY: '10.0.0.0/8' }, 'HTTPS_PROXY'],
  ['https://10.1.2.3/', { HTTPS_PROXY: p, NO_PROXY: '10.1.2.3' }, undefined],
  ['https://10.1.2.3/', { HTTPS_PROXY: p, NO_PROXY: '2.3' }, 'HTTPS_PROXY'],
  ['https://10.1.2.3/', { HTTPS_PROXY: p, NO_PROXY: '10.1.2.3/99' }, 'HTTPS_PROXY'],
  ['https://[fd00::1]/', { HTTPS_PROXY: p, NO_PROXY: '[fd00::1]' }, undefined],
  ['https://[fd00::1]/', { HTTPS_PROXY: p, NO_PROXY: 'fd00::1' }, undefined],
  ['https://[fd00::1]/', { HTTPS_PROXY: p, NO_PROXY: 'fd00::/8' }, undefined],
  ['https://[fd00::1]:8443/', { HTTPS_PROXY: p, NO_PROXY: '[fd00::1]:443' }, 'HTTPS_PROXY'],
  ['http://localhost:3000/', { HTTP_PROXY: p }, 'HTTP_PROXY']
]
t.test('which proxy a URL is reached through', async t => {
  for (const [url, environment, variable] of cases) {
    t.equal(forwardProxyFor(new URL(url), environment)?.variable, variable, `${url} ${JSON.stringify(environment)}`)
  }
  t.equal(
    forwardProxyFor(new URL('https://a.example'), { HTTPS_PROXY: 'p.example:3128' })?.url.href, `${p}/`,
    'http without a scheme'
  )
  for (const value of ['socks5://p.example', 'http://', 'ftp://p.example']) {
    t.throws(
      () => forwardProxyFor(new URL('https://a.example'), { HTTPS_PROXY: value }),
      { name: 'ForwardProxyError', message: /^HTTPS_PROXY / }
    )
  }
})

/** One that requires credentials, and notes what is asked of it. */
async function startForwardProxy (t: Test) {
  const asked: string[] = []
  const expected = `Basic ${Buffer.from('me:s€cret').toString('base64')}`
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    if (request.headers['proxy-authorization'] !== expected) return response.writeHead(407).end()
    const headers = Object.fromEntries(
      Object.entries(request.headers).filter(([name]) => /^(?:accept|content-type|incremental)$/.test(name))
    ) as Record<string, string>
    const body: Buffer[] = []
    request.on('data', piece => body.push(piece)).on('end', () => {
      fetch(
        request.url ?? '',
        { method: request.method ?? '', headers, ...body.length > 0 && { body: Buffer.concat(body) } }
      )
        .then(async answer => response.writeHead(
          answer.status, [...answer.headers].filter(([name]) => /^(?:content-type|date)$/.test(name))
        ).end(Buffer.from(await answer.arrayBuffer())))
        .catch(() => response.destroy())
    })
  })
  server.on('connect', (request, socket, head) => {
    asked.push(`CONNECT ${request.url}`)
    if (request.headers['proxy-authorization'] !== expected) {
      return socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    }
    const [, port = ''] = request.url?.split(':') ?? []
    const onward = connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      onward.write(head)
      onward.pipe(socket).pipe(onward)
    })
    onward.on('error', () => socket.destroy())
    socket.on('error', () => onward.destroy())
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const { port } = server.address() as AddressInfo
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return {
    close, asked, url: `http://me:s%E2%82%ACcret@127.0.0.1:${port}`, wrong: `http://me:wrong@127.0.0.1:${port}`, port
  }
}

t.test('the command goes through the proxy that the environment names, with its credentials, and trusts ' +
  '--cacert', async t => {
  const workload = await startWorkload(t)
  const attester = await simulated()
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url }, { attester })
  const forward = await startForwardProxy(t)
  const { key, cert } = selfSigned()
  const tls = createTlsServer({ key, cert }, (request, response) => {
    const body: Buffer[] = []
    request.on('data', piece => body.push(piece)).on('end', () => {
      fetch(`${proxy.url}${request.url}`, {
        method: request.method ?? '',
        headers: { 'content-type': request.headers['content-type'] ?? 'text/plain' },
        ...body.length > 0 && { body: Buffer.concat(body) }
      })
        .then(async answer => response.writeHead(
          answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }
        ).end(Buffer.from(await answer.arrayBuffer())))
    })
  })
  await new Promise<void>(resolve => { tls.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { tls.closeAllConnections(); tls.close() })
  const tlsPort = (tls.address() as AddressInfo).port
  // The forward proxy knows the name that the certificate is for; nothing else does.
  const secure = `https://workload:${tlsPort}`
  const folder = t.testdir({
    'ca.pem': cert,
    'policy.json': JSON.stringify(
      { version: 1, development: true, platforms: { simulated: { roots: [attester.root] } } }
    )
  })
  const policy = ['--policy', join(folder, 'policy.json')]
  const cacert = ['--cacert', join(folder, 'ca.pem')]

  const [plain, tunnelled, untrusted, refused, exempt, unreachable, wrongValue] = await Promise.all([
    polaris(['fetch', proxy.url, ...policy], { http_proxy: forward.url }),
    polaris(['fetch', secure, ...policy, ...cacert], { HTTPS_PROXY: forward.url }),
    polaris(['fetch', secure, ...policy], { HTTPS_PROXY: forward.url }),
    polaris(['verify', secure, ...policy, ...cacert], { HTTPS_PROXY: forward.wrong }),
    polaris(['verify', proxy.url, ...policy], { HTTP_PROXY: 'http://127.0.0.1:1', NO_PROXY: '127.0.0.1' }),
    polaris(['fetch', secure, '--insecure'], { HTTPS_PROXY: 'http://user:secret@127.0.0.1:1' }),
    polaris(['verify', secure], { HTTPS_PROXY: 'socks5://127.0.0.1:1' })
  ])
  t.match(plain, { status: 0, stderr: '', stdout: /"method":"GET"/ })
  t.match(tunnelled, { status: 0, stderr: '', stdout: /"method":"GET"/ })
  t.match(untrusted, { status: 2, stderr: /self-signed certificate[^]*HTTPS_PROXY is in force[^]*--cacert/ })
  t.match(
    refused,
    { status: 2, stderr: /HTTPS_PROXY is in force, so this went through the forward proxy http:\/\/127\.0\.0\.1:\d+: / }
  )
  t.match(exempt, { status: 0 })
  t.match(unreachable, { status: 2, stderr: /HTTPS_PROXY is in force/ })
  t.notMatch(unreachable.stderr, /secret/)
  t.match(wrongValue, {
    status: 2, stderr: 'polaris: HTTPS_PROXY names a proxy of the kind socks5: only http and https ones are supported\n'
  })
  t.ok(forward.asked.some(line => line.startsWith(`GET ${proxy.url}/`)), 'http is not tunnelled')
  t.ok(forward.asked.includes(`CONNECT workload:${tlsPort}`))
})

t.test('polaris proxy goes through it too, and its problems name the variable', async t => {
  const workload = await startWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  const forward = await startForwardProxy(t)
  const environment = { PATH: process.env['PATH'] }
  const local = await runLocalProxy(t, [proxy.url, '--insecure'], { env: { ...environment, HTTP_PROXY: forward.url } })
  t.equal((await send(local.url)).status, 200)
  t.ok(forward.asked.includes(`POST ${proxy.url}/.well-known/ohttp-gateway`))
  forward.close()
  const { status, body } = await send(local.url)
  t.equal(status, 502)
  t.match(
    JSON.parse(body.toString()),
    { type: /:unreachable$/, detail: /HTTP_PROXY is in force, .* http:\/\/127\.0\.0\.1:\d+: .* NO_PROXY$/ }
  )
  t.notMatch(body.toString(), /cret/)
  t.match(
    await polaris(['proxy', proxy.url, '--insecure', '--listen', '127.0.0.1:0'], { HTTP_PROXY: forward.url }),
    { status: 2, stderr: /cannot be reached[^]*HTTP_PROXY is in force/ }
  )
})
