/** The TLS listener as OpenSSL's own client sees it: versions, groups, protocols, tickets, early data, certificates. */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { createAuthority } from '../../fixtures/certificates.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { servingTls, tlsClient } from '../../fixtures/tls.ts'
import { startWorkload } from '../../fixtures/workload.ts'

t.setTimeout(240_000)
const OPENSSL = '/usr/bin/openssl'
const skip = existsSync(OPENSSL) ? false : `${OPENSSL} is not installed (apt-get install openssl)`

async function setUp (t: Test, config: ConfigInput = {}): Promise<number> {
  const workload = await startWorkload(t)
  return servingTls(await startProxy(t, { workloadBaseUrl: workload.url, tls: 'attested', tlsPort: 0, ...config }))
}

/** What it prints about a connection, on which it asks whether the proxy lives. */
function sClient (port: number, ...args: string[]): Promise<string> {
  return new Promise(resolve => {
    const child = execFile(
      OPENSSL, ['s_client', '-connect', `127.0.0.1:${port}`, '-ign_eof', ...args], { timeout: 20_000 },
      (_error, stdout, stderr) => resolve(stdout + stderr)
    )
    child.stdin?.on('error', () => undefined)
    child.stdin?.end('GET /polaris-container/livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  })
}

const LIVES = /HTTP\/1\.1 200 OK/

t.test('TLS 1.3 only, and TLS 1.2 if it is asked for', { skip }, async t => {
  const [port, both] = [await setUp(t), await setUp(t, { tlsMinVersion: '1.2' })]
  t.match(await sClient(port), LIVES)
  for (const output of [await sClient(port), await sClient(both)]) t.match(output, /New, TLSv1\.3, /)
  const refused = await sClient(port, '-tls1_2')
  t.match(refused, /alert protocol version/)
  t.notMatch(refused, LIVES)
  const accepted = await sClient(both, '-tls1_2')
  t.match(accepted, /New, TLSv1\.2, Cipher is ECDHE-ECDSA-AES256-GCM-SHA384/)
  t.match(accepted, LIVES)
  t.match(await sClient(both, '-tls1_2', '-cipher', 'ECDHE-ECDSA-AES256-SHA384'), /alert handshake failure/)
})

t.test('the post-quantum group is asked for if the client has it, wherever in its list', async t => {
  const port = await setUp(t)
  const groups = async (ecdhCurve?: string) =>
    (await tlsClient(t, port, ecdhCurve === undefined ? {} : { ecdhCurve })).getEphemeralKeyInfo() as { name?: string }
  // Node's own OpenSSL, which has it.
  t.equal((await groups()).name, 'X25519MLKEM768', 'by default')
  t.equal((await groups('X25519:X25519MLKEM768')).name, 'X25519MLKEM768', 'as the second')
  t.equal((await groups('X25519')).name, 'X25519', 'otherwise another one')
})

t.test('OpenSSL 3.5 and later agree on it, too', {
  skip: skip || (execFileSync(OPENSSL, ['list', '-kem-algorithms']).includes('X25519MLKEM768')
    ? false
    : 'this OpenSSL has no X25519MLKEM768: it came with 3.5')
}, async t => {
  const port = await setUp(t)
  for (const args of [[], ['-groups', 'X25519:X25519MLKEM768']]) {
    t.match(await sClient(port, ...args), /Negotiated TLS1\.3 group: X25519MLKEM768/)
  }
})

t.test('ALPN: HTTP/2 first, HTTP/1.1, and nothing else', { skip }, async t => {
  const port = await setUp(t)
  for (const [offered, chosen] of [
    ['h2,http/1.1', /ALPN protocol: h2/], ['http/1.1,h2', /ALPN protocol: h2/], ['http/1.1', /ALPN protocol: http\/1\.1/],
    ['spdy/3,http/1.1', /ALPN protocol: http\/1\.1/], ['spdy/3', /alert no application protocol/]
  ] as const) t.match(await sClient(port, '-alpn', offered), chosen, offered)
  t.match(await sClient(port), /No ALPN negotiated/)
})

t.test('sessions resume by ticket, and carry no early data', { skip }, async t => {
  const port = await setUp(t)
  const folder = t.testdir({ early: 'GET /early HTTP/1.1\r\nHost: x\r\n\r\n' })
  const session = join(folder, 'session')
  const first = await sClient(port, '-sess_out', session)
  t.match(first, /Max Early Data: 0/)
  t.notMatch(first, /Max Early Data: [1-9]/)
  t.match(await sClient(port, '-sess_in', session), /Reused, TLSv1\.3/)
  const early = await sClient(port, '-sess_in', session, '-early_data', join(folder, 'early'))
  t.match(early, /Early data was not sent|Early data was rejected|not supported/)
  t.match(early, LIVES)
})

t.test('a certificate of the clients\' authority lets in, and nothing else does', { skip }, async t => {
  const authority = createAuthority('clients')
  const folder = t.testdir()
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const port = await setUp(t, { tlsClientCa: write('ca.pem', authority.certPem) })
  const { certPem, keyPem } = authority.issue(['client'])
  const other = createAuthority('others').issue(['client'])
  t.match(await sClient(port, '-cert', write('cert.pem', certPem), '-key', write('key.pem', keyPem)), LIVES)
  t.notMatch(await sClient(port), LIVES)
  t.notMatch(
    await sClient(port, '-cert', write('other.pem', other.certPem), '-key', write('other-key.pem', other.keyPem)), LIVES
  )
})
