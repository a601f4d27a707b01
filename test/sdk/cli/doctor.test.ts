// polaris doctor: what is well, what is not, and what to do about it, as a process against real servers.
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { simulated } from '../../../lib/platforms/local/simulated-evidence.ts'
import { selfSigned } from '../../fixtures/certificate.ts'
import { polaris } from '../../fixtures/polaris-cli.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { startWorkload } from '../../fixtures/workload.ts'

t.setTimeout(240_000)
const attester = await simulated()
const workload = await startWorkload(t, (request, response) => {
  if (request.url !== '/events') return response.end()
  response.write('first')
  setTimeout(() => response.end('last'), 1_500)
})
const origin = 'https://app.example'
const proxy = await startProxy(t, { workloadBaseUrl: workload.url, corsOrigin: origin }, { attester })
const folder = t.testdir({
  'policy.json': JSON.stringify(
    { version: 1, development: true, platforms: { simulated: { roots: [attester.root] } } }
  ),
  'other.json': JSON.stringify({ version: 1, development: true, platforms: { simulated: { roots: ['A'.repeat(43)] } } })
})
const policy = ['--policy', join(folder, 'policy.json')]

interface Report { ok: boolean, findings: { name: string, outcome: string, detail: string, advice?: string }[] }

async function doctor (args: string[], env = {}) {
  const { status, stdout } = await polaris(['doctor', ...args, '--json', '--max-time', '60'], env)
  const { ok, findings } = JSON.parse(stdout) as Report
  const found = (name: string) => findings.find(finding => finding.name === name)
  return { status, ok, findings, found }
}

async function inFront (t: Test, listener: RequestListener) {
  const server = createServer(listener)
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Passes on whole requests, with what `change` makes of the answer. */
const buffering = (change: (
  headers: Headers, path: string
) => void = () => undefined): RequestListener => (request, response) => {
  const body: Buffer[] = []
  request.on('data', piece => body.push(piece)).on('end', () => {
    const headers = Object.fromEntries(Object.entries(request.headers).filter(
      ([name]) => !/^(?:host|connection|content-length|transfer-encoding|expect)$/.test(name)
    )) as Record<string, string>
    fetch(
      `${proxy.url}${request.url}`,
      { method: request.method ?? '', headers, ...body.length > 0 && { body: Buffer.concat(body) } }
    ).then(async answer => {
      const changed = new Headers([...answer.headers].filter(
        ([name]) => !/^(?:connection|keep-alive|transfer-encoding|content-length)$/.test(name)
      ))
      change(changed, request.url ?? '')
      response.writeHead(answer.status, Object.fromEntries(changed)).end(Buffer.from(await answer.arrayBuffer()))
    })
  })
}

t.test('all is well: 0', async t => {
  const { status, ok, findings } = await doctor([proxy.url, ...policy, '--origin', origin, '--stream', '/events'])
  t.strictSame([status, ok], [0, true])
  t.strictSame(findings.filter(({ outcome }) => outcome === 'problem' || outcome === 'warning'), [])
  t.strictSame(findings.map(({ name }) => name), [
    'environment', 'dns', 'tcp', 'tls', 'server', 'clock', 'readiness', 'keys', 'attestation', 'cors',
    'request-streaming', 'exchange', 'response-streaming'
  ])
})

t.test('what is wrong is named, with what to do', async t => {
  const page = await inFront(
    t,
    (_request, response) => { response.writeHead(200, { server: 'nginx', 'content-type': 'text/html' }).end('<html>') }
  )
  const down = await inFront(t, (_request, response) => { response.writeHead(502, { server: 'balancer' }).end() })
  const held = await inFront(t, buffering(headers => headers.set('age', '17')))
  const skewed = await inFront(
    t, buffering(headers => headers.set('date', new Date(Date.now() + 12 * 60_000).toUTCString()))
  )
  const later = await inFront(t, (request, response) => {
    if (request.url === '/polaris-container/about') {
      return response.end(JSON.stringify({ version: '9.1.0', commit: 'abc', protocols: ['ohttp'] }))
    }
    return buffering()(request, response)
  })
  const unready = await inFront(t, (request, response) => {
    if (request.url === '/polaris-container/readyz') {
      return response.writeHead(503).end('{"status":"not ready","reason":"keys"}')
    }
    return buffering()(request, response)
  })
  const { key, cert } = selfSigned()
  const unknown = createTlsServer({ key, cert }, (_request, response) => { response.end() })
  await new Promise<void>(resolve => { unknown.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { unknown.closeAllConnections(); unknown.close() })
  const workloadless = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:1' }, { attester })
  const cases: [
    name: string, args: string[], status: number, finding: string, outcome: string, detail: RegExp, advice: RegExp
  ][] = [
    ['nobody', ['http://127.0.0.1:1'], 1, 'tcp', 'problem', /ECONNREFUSED/, /Nothing listens there/],
    ['no such name', ['http://does-not-exist.invalid'], 1, 'dns', 'problem', /ENOTFOUND|EAI_AGAIN/, /name|resolver/],
    [
      'another server', [page], 1, 'server', 'problem', /not a Polaris Secure Proxy.*status 200, text\/html, by nginx/,
      /POLARIS_CONTAINER_CONTEXT_ROOT/
    ],
    [
      'a balancer without a proxy', [down], 1, 'server', 'problem', /status 502.*by balancer/,
      /does not reach the proxy/
    ],
    ['not TLS', [proxy.url.replace('http:', 'https:')], 1, 'tls', 'problem', /No TLS connection/, /http:/],
    [
      'requests are held back', [held, ...policy], 0, 'request-streaming', 'warning', /held back/,
      /proxy_request_buffering off/
    ],
    ['keys from a cache', [held, ...policy], 0, 'keys', 'warning', /from a cache, 17 s old/, /cache/],
    [
      'a clock', [skewed, ...policy], 1, 'clock', 'problem', /here, .* there/,
      /12 minutes behind.*timedatectl.*--clock gateway/
    ],
    [
      'an origin', [proxy.url, ...policy, '--origin', 'https://other.example'], 1, 'cors', 'problem',
      /not https:\/\/other\.example/, /POLARIS_CONTAINER_CORS_ORIGIN/
    ],
    [
      'another version', [later, ...policy], 0, 'server', 'warning',
      /Proxy 9\.1\.0, commit abc, with ohttp; this command is 1\./, /same major version/
    ],
    ['not ready', [unready, ...policy], 1, 'readiness', 'problem', /not ready.*keys/, /docs\/operations\.md/],
    [
      'an authority that nobody trusts', [`https://127.0.0.1:${(unknown.address() as AddressInfo).port}`], 1, 'tls',
      'problem', /The certificate is not accepted/, /--cacert/
    ],
    [
      'answers are held back', [held, ...policy, '--stream', '/events'], 0, 'response-streaming', 'warning', /at once/,
      /proxy_buffering off/
    ],
    [
      'another policy', [proxy.url, '--policy', join(folder, 'other.json')], 1, 'attestation', 'problem',
      /Refused, simulated: root: /, /policy init/
    ],
    ['simulated evidence', [proxy.url], 0, 'attestation', 'warning', /simulated/, /--development/],
    ['no workload', [workloadless.url, ...policy], 0, 'exchange', 'warning', /status 502/, /WORKLOAD/]
  ]
  // One after the other: how long something takes is what some of the findings are about.
  for (const [name, args, status, finding, outcome, detail, advice] of cases) {
    const report = await doctor(args)
    t.equal(report.status, status, name)
    t.match(report.found(finding), { outcome, detail, advice }, name)
  }
})

t.test('for people, each finding is a line, and its advice another; a forward proxy is named', async t => {
  const { status, stdout } = await polaris(
    ['doctor', 'http://127.0.0.1:1', '--max-time', '2'], { HTTP_PROXY: 'http://me:secret@127.0.0.1:2' }
  )
  t.equal(status, 1)
  t.match(
    stdout,
    /! environment .*HTTP_PROXY sends requests for 127\.0\.0\.1:1 through http:\/\/127\.0\.0\.1:2\n +→ If that is not intended, name 127\.0\.0\.1 in NO_PROXY\n/
  )
  t.match(stdout, /✗ server [^]*1 problem\n$/)
  t.notMatch(stdout, /secret|\[3[12]m/)
})

t.test('an environment that switches off the verification of certificates is a problem', async t => {
  const { status, findings } = await doctor([proxy.url, ...policy], { NODE_TLS_REJECT_UNAUTHORIZED: '0' })
  t.equal(status, 1)
  t.match(
    findings.slice(0, 2),
    [{ name: 'environment', outcome: 'ok' }, { name: 'environment', outcome: 'problem', advice: /--cacert/ }]
  )
})

t.test('wrong usage: 2', async t => {
  for (const args of [
    ['proxy.example'], ['http://a:b@proxy.example'], ['http://proxy.example', '--origin', 'app.example']
  ]) {
    t.match(await polaris(['doctor', ...args]), { status: 2, stdout: '' })
  }
})
