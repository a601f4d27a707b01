// polaris proxy as a process: its sockets and files, its log, and how it ends.
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { selfSigned } from '../../fixtures/certificate.ts'
import { runLocalProxy, send, startChain } from '../../fixtures/local-proxy.ts'
import { polaris } from '../../fixtures/polaris-cli.ts'

t.setTimeout(300_000)
const { proxy, policy, workload } = await startChain(t)
const common = [proxy.url, '--policy', policy]

t.test('--unix: a socket for its owner alone, gone afterwards, and replaced if a killed process left it', async t => {
  // Where tests usually have their files, the path would be too long.
  const folder = mkdtempSync(join(tmpdir(), 'polaris-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  const path = join(folder, 'socket')
  writeFileSync(join(folder, 'file'), '')
  const first = await runLocalProxy(t, [...common, '--unix', path])
  t.match(first.stderr(), `curl --unix-socket ${path} http://localhost/`)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal((await send('http://localhost/x', { socketPath: path })).status, 200)
  t.equal((await send('http://anything.example/x', { socketPath: path })).status, 200, 'no page can reach it')
  t.match(await polaris(['proxy', ...common, '--unix', path]), { status: 2, stderr: /in use by another process/ })
  t.match(await polaris(['proxy', ...common, '--unix', join(path, '../file')]), { status: 2, stderr: /is no socket/ })

  first.child.kill('SIGKILL')
  await first.exit
  t.ok(existsSync(path))
  const second = await runLocalProxy(t, [...common, '--unix', path])
  t.equal((await send('http://localhost/x', { socketPath: path })).status, 200)
  second.child.kill('SIGTERM')
  t.equal(await second.exit, 0)
  t.notOk(existsSync(path))
})

t.test('--header sets a header on each request, from a file as it is now', async t => {
  const folder = t.testdir({ token: 'Bearer first\n', 'next-token': 'Bearer third\n', linked: 'Bearer fourth' })
  const token = join(folder, 'token')
  const { url } = await runLocalProxy(t, [...common, '--header', `authorization: @${token}`, '-H', 'X-Team: blue'])
  const sent = async (headers = {}) => {
    const { status, body } = await send(url, { headers })
    t.equal(status, 200)
    return (JSON.parse(body.toString()) as { headers: Record<string, string> }).headers
  }
  t.match(await sent({ authorization: 'Bearer unused' }), { authorization: 'Bearer first', 'x-team': 'blue' })
  writeFileSync(token, 'Bearer second')
  t.match(await sent(), { authorization: 'Bearer second' })
  renameSync(join(folder, 'next-token'), token)
  t.match(await sent(), { authorization: 'Bearer third' })
  rmSync(token)
  symlinkSync('linked', token)
  t.match(await sent(), { authorization: 'Bearer fourth' }, 'as Kubernetes replaces what it mounts')

  const before = workload.received.length
  for (const content of ['', 'two\nlines', undefined]) {
    rmSync(token, { force: true })
    if (content !== undefined) writeFileSync(token, content)
    const { status, body } = await send(url)
    t.equal(status, 500)
    t.match(
      JSON.parse(body.toString()),
      { type: 'urn:polaris-secure-proxy:local-proxy:header-file', detail: /^Nothing was sent: / }
    )
    t.notMatch(body.toString(), 'lines')
  }
  t.equal(workload.received.length, before)
})

t.test('--tls-cert and --tls-key: a listener with TLS, with the certificate that is there now', async t => {
  const [first, second] = [selfSigned(), selfSigned()]
  const folder = t.testdir({ 'cert.pem': first.cert, 'key.pem': first.key })
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const local = await runLocalProxy(t, [...common, '--tls-cert', cert, '--tls-key', key, '--allow-host', 'localhost'])
  t.match(local.url, /^https:/)
  async function peer (): Promise<string> {
    const request = httpsRequest(
      local.url.replace('127.0.0.1', 'localhost'),
      { agent: false, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false }
    ).end()
    const [response] = await once(request, 'response') as [IncomingMessage]
    response.resume()
    t.equal(response.statusCode, 200)
    return (response.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256 ?? ''
  }
  const [one, two] = [first, second].map(({ cert }) => new X509Certificate(cert).fingerprint256)
  t.equal(await peer(), one)
  writeFileSync(cert, second.cert)
  t.equal(await peer(), one, 'half of a renewal is not used')
  await local.said(/warn continuing with the current certificate: .*cannot be used as certificate and key/)
  writeFileSync(key, second.key)
  t.equal(await peer(), two)
})

t.test('the log: one line for each exchange, never a path, a header or a body', async t => {
  for (const format of ['text', 'json', 'off']) {
    const local = await runLocalProxy(t, [...common, '--log', format])
    const started = local.stderr().length
    const headers = { authorization: 'secret-header' }
    await send(`${local.url}/secret-path?secret-query`, { method: 'POST', headers, body: 'secret-body' })
    await send(`${local.url}/secret-path`, { headers: { host: 'secret-host', ...headers } })
    if (format !== 'off') await local.said(/host-not-allowed/)
    local.child.kill('SIGTERM')
    t.equal(await local.exit, 0)
    const log = local.stderr().slice(started)
    t.notMatch(log, /secret/)
    if (format === 'off') t.equal(log, '')
    if (format === 'text') {
      t.match(
        log,
        /^\S+Z info exchange method=POST status=200 received=11 sent=\d+ outcome=complete milliseconds=\d+\n\S+Z warn exchange method=GET status=421 received=0 sent=0 outcome=host-not-allowed /
      )
    }
    if (format === 'json') {
      t.match(log.trim().split('\n').map(line => JSON.parse(line) as unknown), [
        { level: 'info', message: 'exchange', method: 'POST', status: 200, received: 11, outcome: 'complete' },
        { level: 'warn', message: 'exchange', method: 'GET', status: 421, outcome: 'host-not-allowed' }
      ])
    }
  }
})

t.test('SIGTERM: what is in flight finishes, idle connections end, nothing new is taken, exit status 0', async t => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const responses: ServerResponse[] = []
    const { local } = await startChain(t, {
      listener (_request, response) {
        response.write('first')
        responses.push(response)
      }
    })
    const idle = connect(local.port, '127.0.0.1')
    await once(idle, 'connect')
    const request = httpRequest(local.url, { agent: false, headers: { connection: 'keep-alive' } }).end()
    const [response] = await once(request, 'response') as [IncomingMessage]
    await once(response, 'data')
    local.child.kill(signal)
    idle.on('error', error => t.match(error, { code: 'ECONNRESET' }))
    for (;;) {
      const refused = await new Promise<boolean>(resolve => connect(local.port, '127.0.0.1').on(
        'connect', function (this: { destroy (): void }) { this.destroy(); resolve(false) }
      ).on('error', () => resolve(true)))
      if (refused) break
    }
    t.equal(local.child.exitCode, null, 'it waits')
    responses[0]!.end('last')
    let rest = ''
    for await (const piece of response) rest += String(piece)
    t.equal(rest, 'last')
    t.equal(await local.exit, 0)
    idle.destroy()
  }
})

t.test('a second signal does not wait', async t => {
  const { local } = await startChain(t, { listener: (_request, response) => { response.write('first') } })
  const request = httpRequest(local.url, { agent: false }).on(
    'error', error => t.match(error, { code: 'ECONNRESET' })
  ).end()
  const [response] = await once(request, 'response') as [IncomingMessage]
  response.on('error', error => t.match(error, { code: 'ECONNRESET' }))
  await once(response, 'data')
  local.child.kill('SIGTERM')
  await new Promise(resolve => setTimeout(resolve, 200))
  local.child.kill('SIGTERM')
  t.equal(await local.exit, 'SIGTERM')
})

t.test('mistakes: 2, and a message that says which, and quotes no value', async t => {
  const folder = t.testdir({ empty: '', cert: selfSigned().cert, large: 'x'.repeat(70_000) })
  const file = (name: string) => join(folder, name)
  const used = await runLocalProxy(t, common)
  const cases: [args: string[], stderr: RegExp][] = [
    [['--listen', '8787'], /not an address to listen on, such as 127\.0\.0\.1:8787: 8787/],
    [['--listen', 'example.com:80'], /not an address/],
    [['--listen', '127.0.0.1:70000'], /not an address/],
    [['--listen', used.url.slice('http://'.length)], /cannot listen on 127\.0\.0\.1:\d+: EADDRINUSE/],
    [['--unix', file('x'), '--listen', '127.0.0.1:0'], /exclude each other/],
    [['--unix', '/missing/socket'], /cannot listen on .*: (?:ENOENT|EACCES)/],
    [['--unix', '/' + 'x'.repeat(104)], /at most 103 bytes/],
    [['--tls-cert', file('cert')], /need each other/],
    [['--tls-cert', file('cert'), '--tls-key', file('empty')], /cannot be used as certificate and key/],
    [['--tls-cert', file('missing'), '--tls-key', file('cert')], /cannot read .*missing: ENOENT/],
    [['--unix', file('x'), '--tls-cert', file('cert'), '--tls-key', file('cert')], /exclude each other/],
    [['--allow-host', 'a b'], /not a host/],
    [['--allow-origin', 'https://app.example/'], /not an origin/],
    [['--allow-origin', '*'], /not an origin/],
    [['--allow-origin', 'null'], /not an origin/],
    [['--header', 'Bearer secret'], /must be written as 'name: value' or 'name: @file'/],
    [['--header', 'x: sec\nret'], /must be written as/],
    [['--header', 'host: secret'], /the header host cannot be set/],
    [['--header', 'x: @' + file('missing')], /cannot read .*missing: ENOENT/],
    [['--header', 'x: @' + file('empty')], /does not hold one line/],
    [['--header', 'x: @' + file('large')], /more than 65536 bytes/],
    [['--max-age', '601'], /from 1 to 600/],
    [['--max-age', '0'], /from 1 to 600/],
    [['--log', 'xml'], /Allowed choices are json, text, off/],
    [['--post-quantum', 'maybe'], /Allowed choices/]
  ]
  for (const [args, stderr] of cases) {
    const result = await polaris([
      'proxy', ...common, ...args.includes('--listen') || args.includes('--unix') ? [] : ['--listen', '127.0.0.1:0'],
      ...args
    ])
    t.match(result, { status: 2, stdout: '', stderr }, args.join(' '))
    t.notMatch(result.stderr, /secret/)
  }
})
