/** What the TLS listener speaks, and with whom: versions, groups, protocols, tickets, certificates of clients. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { ConnectionOptions } from 'node:tls'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { createAuthority } from '../../fixtures/certificates.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { pinOf, servingTls, tlsClient, tlsRequest } from '../../fixtures/tls.ts'
import { startWorkload } from '../../fixtures/workload.ts'

async function setUp (t: Test, config: ConfigInput = {}) {
  const workload = await startWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, tls: 'attested', tlsPort: 0, ...config })
  return { proxy, port: await servingTls(proxy), workload }
}

const refused = (t: Test, port: number, options: ConnectionOptions, what: string) =>
  t.rejects(tlsClient(t, port, options), { code: /^(?:ERR_SSL_|ECONNRESET)/ }, what)

t.test('TLS 1.3 with the post-quantum group, and nothing older', async t => {
  const { port } = await setUp(t)
  const socket = await tlsClient(t, port)
  t.equal(socket.getProtocol(), 'TLSv1.3')
  for (const maxVersion of ['TLSv1.2', 'TLSv1.1'] as const) {
    await refused(t, port, { maxVersion, minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' }, maxVersion)
  }
  // The server asks for it where the client only says that it has it.
  for (const [offered, chosen] of [
    ['X25519MLKEM768', true], ['X25519:X25519MLKEM768', true], ['X25519', true], ['P-256', true], ['P-384', true],
    ['P-521', false], ['X448', false]
  ] as const) {
    if (chosen) t.equal((await tlsClient(t, port, { ecdhCurve: offered })).getProtocol(), 'TLSv1.3', offered)
    else await refused(t, port, { ecdhCurve: offered }, offered)
  }
})

t.test('TLS 1.2 if it is asked for, with forward secrecy and authenticated encryption only', async t => {
  const { port } = await setUp(t, { tlsMinVersion: '1.2' })
  const socket = await tlsClient(t, port, { maxVersion: 'TLSv1.2' })
  t.equal(socket.getProtocol(), 'TLSv1.2')
  t.match(socket.getCipher().name, /^ECDHE-ECDSA-AES256-GCM-SHA384$/)
  t.equal((await tlsClient(t, port)).getProtocol(), 'TLSv1.3')
  await refused(t, port, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' }, '1.1')
  for (const ciphers of ['ECDHE-ECDSA-AES128-SHA256', 'AES128-GCM-SHA256', 'ECDHE-ECDSA-AES128-SHA']) {
    await refused(t, port, { maxVersion: 'TLSv1.2', ciphers }, ciphers)
  }
  const error = new Promise<Error>(resolve => socket.once('error', resolve))
  socket.renegotiate({ rejectUnauthorized: false }, () => undefined)
  socket.write('GET / HTTP/1.1\r\n')
  t.match((await error).message, 'no renegotiation')
})

t.test('it speaks HTTP/1.1, and refuses protocols that it does not know', async t => {
  const { port } = await setUp(t)
  t.equal((await tlsClient(t, port)).alpnProtocol, false, 'a client that names none')
  t.equal((await tlsClient(t, port, { ALPNProtocols: ['http/1.1'] })).alpnProtocol, 'http/1.1')
  await refused(t, port, { ALPNProtocols: ['spdy/3'] }, 'no application protocol')
})

t.test('the certificate convinces a client that trusts it, for its names and no others', async t => {
  const { port } = await setUp(t, { tlsNames: 'api.example.com, 127.0.0.1' })
  const first = await tlsClient(t, port)
  const ca = first.getPeerX509Certificate()!.toString()
  for (const servername of ['api.example.com', undefined]) {
    const socket = await tlsClient(t, port, { ca, rejectUnauthorized: true, ...servername && { servername } })
    t.equal(socket.authorized, true)
  }
  await t.rejects(
    tlsClient(t, port, { ca, rejectUnauthorized: true, servername: 'other.example.com' }),
    { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }
  )
})

/** The ticket of a session, once the server has sent it. */
async function ticketOf (t: Test, port: number, options: ConnectionOptions = {}): Promise<Buffer> {
  const socket = await tlsClient(t, port, options)
  const session = once(socket, 'session') as Promise<[Buffer]>
  socket.write('GET /polaris-container/livez HTTP/1.1\r\nHost: x\r\n\r\n')
  return (await session)[0]
}

t.test('sessions resume with tickets, and not beyond their key', async t => {
  const { port, proxy } = await setUp(t, { tlsRotation: '4s', tlsOverlap: '1s' })
  const pin = pinOf(await tlsClient(t, port))
  let session = await ticketOf(t, port)
  const resumed = await tlsClient(t, port, { session })
  if (pinOf(resumed) === pin) t.equal(resumed.isSessionReused(), true)
  const keys = () => proxy.log.filter(line => line.includes('"TLS key serves"')).length
  const before = keys()
  session = await ticketOf(t, port)
  while (keys() === before) await setTimeout(20)
  const after = await tlsClient(t, port, { session })
  t.equal(after.isSessionReused(), false, 'another key serves')
})

t.test('with an authority for clients, only those with a certificate of it get a connection', async t => {
  const authority = createAuthority('clients')
  const clientCa = join(t.testdir(), 'ca.pem')
  writeFileSync(clientCa, authority.certPem)
  const { port, workload } = await setUp(t, { tlsClientCa: clientCa })
  const { certPem: cert, keyPem: key } = authority.issue(['client'])
  t.equal((await tlsRequest(port, '/in', { cert, key })).status, 200)
  const other = createAuthority('others').issue(['client'])
  for (const pair of [{}, { cert: other.certPem, key: other.keyPem }]) {
    await t.rejects(tlsRequest(port, '/out', pair), { code: /ERR_SSL|ECONNRESET|EPIPE/ })
  }
  t.same(workload.received.map(({ url }) => url), ['/in'])
})

t.test('a client that does not finish its handshake keeps no stop waiting', async t => {
  const { port, proxy } = await setUp(t)
  const { connect } = await import('node:net')
  const silent = connect(port, '127.0.0.1')
  t.teardown(() => silent.destroy())
  await once(silent, 'connect')
  silent.on('error', () => undefined)
  await setTimeout(50)
  await Promise.all([proxy.close(), once(silent, 'close')])
  await t.rejects(tlsClient(t, port), { code: 'ECONNREFUSED' })
})

t.test('files and addresses that cannot be used are refused by name', async t => {
  const workload = await startWorkload(t)
  const start = (config: ConfigInput) => startProxy(t, { workloadBaseUrl: workload.url, tls: 'attested', ...config })
  await t.rejects(start({ tlsPort: 0, tlsClientCa: '/nowhere.pem' }), /TLS_CLIENT_CA: \/nowhere.pem cannot be read/)
  const { port } = await setUp(t)
  await t.rejects(start({ tlsPort: port, host: '127.0.0.1' }), new RegExp(`TLS_PORT: port ${port} is in use`))
})
