/** Certificates of a real authority, Let's Encrypt's test server: issued, renewed, and their keys in the evidence. */
import { X509Certificate, createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { createPolarisFetch } from '../sdk/index.ts'
import type { AttestationPolicy } from '../sdk/index.ts'
import { freePort, run, START, untilReady } from '../test/fixtures/process.ts'
import type { Run } from '../test/fixtures/process.ts'
import { pinOf, servingTls, tlsClient, tlsRequest } from '../test/fixtures/tls.ts'
import { pids, until } from '../test/fixtures/workers.ts'
import { startWorkload } from '../test/fixtures/workload.ts'
import { noPebble, preparePebble, startPebble } from './fixtures/pebble.ts'
import type { Pebble, PebbleOptions } from './fixtures/pebble.ts'
import { missing, runAsync, temporaryFolder } from './fixtures/peers.ts'

t.setTimeout(600_000)
const skip = noPebble()
const policy = { version: 1, development: true, insecure: true, platforms: { simulated: {} } } as AttestationPolicy
const NAME = 'proxy.example.com'

interface Ports {
  readonly tlsPort: number
  readonly httpPort: number
}

const freePorts = async (): Promise<Ports> => ({ tlsPort: await freePort(), httpPort: await freePort() })

async function startServer (
  t: Test, { tlsPort, httpPort }: Ports, { directory, caFile }: Pebble, env: Record<string, string> = {}
): Promise<Run> {
  const workload = await startWorkload(t, (request, response) => response.end(request.url))
  const server = run(t, START, {
    PORT: String(httpPort),
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url,
    POLARIS_CONTAINER_ATTESTATION_TYPE: 'simulated',
    POLARIS_CONTAINER_ATTESTATION_RATE_LIMIT: '100000',
    POLARIS_CONTAINER_TLS: 'acme',
    POLARIS_CONTAINER_TLS_PORT: String(tlsPort),
    POLARIS_CONTAINER_TLS_NAMES: NAME,
    POLARIS_CONTAINER_TLS_ACME_DIRECTORY: directory,
    POLARIS_CONTAINER_TLS_ACME_CA_FILE: caFile,
    POLARIS_CONTAINER_TLS_ACME_TERMS_AGREED: 'true',
    ...env
  })
  t.teardown(() => { if (!t.passing()) t.comment(server.lines.slice(-12).join('\n')) })
  await servingTls({ log: server.lines })
  return server
}

async function setUp (t: Test, options: Omit<PebbleOptions, keyof Ports> = {}, env: Record<string, string> = {}) {
  const ports = await freePorts()
  const pebble = await startPebble(t, { ...ports, ...options })
  return { ...ports, pebble, server: await startServer(t, ports, pebble, env) }
}

const obtained = (server: Run) => server.line(/"TLS certificate obtained"/)

/** Resolves with the issued certificate of the connection: verified as every client does. */
async function verified (t: Test, port: number, ca: string, servername = NAME): Promise<X509Certificate | undefined> {
  const socket = await tlsClient(t, port, { ca, servername, rejectUnauthorized: true })
  const certificate = socket.getPeerX509Certificate()
  socket.destroy()
  return certificate
}

/** Pins of the TLS keys that fresh evidence covers. */
async function covered (port: number): Promise<string[]> {
  const nonce = Buffer.alloc(32, 1).toString('base64url')
  const { body } = await tlsRequest(port, `/polaris-container/attestation?nonce=${nonce}`)
  const { keys } = JSON.parse(body.toString()) as { keys: { kind: string, value: string }[] }
  return keys.filter(({ kind }) => kind === 'tls-spki')
    .map(({ value }) => createHash('sha256').update(Buffer.from(value, 'base64url')).digest('base64'))
}

t.test('tls-alpn-01: the key serves attested from the start, then with a certificate that clients trust', {
  skip, timeout: 240_000
}, async t => {
  const { pebble, server, tlsPort } = await setUp(
    t, { nonceReject: 50 }, { PORT: 'off', POLARIS_CONTAINER_TLS_NAMES: `${NAME},second.example.com,127.0.0.1` }
  )
  const pin = pinOf(await tlsClient(t, tlsPort))
  t.ok((await covered(tlsPort)).includes(pin))
  await obtained(server)
  const ca = await pebble.root()
  for (const name of [NAME, 'second.example.com']) {
    t.match((await verified(t, tlsPort, ca, name))?.subjectAltName, `DNS:${name}`)
  }
  t.match((await verified(t, tlsPort, ca))?.subjectAltName, 'IP Address:127.0.0.1')
  t.equal(pinOf(await tlsClient(t, tlsPort)), pin, 'the same key')
  t.match((await tlsRequest(tlsPort, '/x', { ca, servername: NAME, rejectUnauthorized: true })).body.toString(), '/x')

  const fetch = createPolarisFetch({
    baseURL: `https://127.0.0.1:${tlsPort}`, transport: 'tls', attestation: policy
  })
  t.equal(await (await fetch('/sdk')).text(), '/sdk')
  t.ok(fetch.attestation?.verdict?.verified)

  await t.rejects(
    tlsClient(t, tlsPort, { ALPNProtocols: ['acme-tls/1'], servername: NAME }), /no application protocol/,
    'what was for the authority is gone'
  )
  server.child.kill('SIGTERM')
  t.equal(await server.exit, 0)
  t.equal(server.stderr(), '')
})

t.test('openssl verifies the chain, and curl the name', {
  skip: skip || missing('curl', '--version'), timeout: 240_000
}, async t => {
  const { pebble, server, tlsPort } = await setUp(t)
  await obtained(server)
  const file = join(temporaryFolder(t), 'root.pem')
  writeFileSync(file, await pebble.root())
  await runAsync('openssl', [
    's_client', '-connect', `127.0.0.1:${tlsPort}`, '-servername', NAME, '-verify_hostname', NAME,
    '-verify_return_error', '-CAfile', file, '-quiet', '-no_ign_eof'
  ])
  await runAsync('curl', [
    '--silent', '--show-error', '--fail', '--output', join(temporaryFolder(t), 'answer'), '--cacert', file,
    '--resolve', `${NAME}:${tlsPort}:127.0.0.1`, `https://${NAME}:${tlsPort}/`
  ])
})

t.test('http-01, and renewals: every key is in the evidence before it serves, and is replaced in time', {
  skip, timeout: 240_000
}, async t => {
  const { pebble, server, tlsPort, httpPort } = await setUp(t, { validity: 20 }, {
    POLARIS_CONTAINER_TLS_ACME_CHALLENGE: 'http-01', POLARIS_CONTAINER_TLS_OVERLAP: '3s'
  })
  await obtained(server)
  const ca = await pebble.root()
  const seen = new Set<string>()
  const announced = new Set<string>()
  while (seen.size < 3) {
    const certificate = await verified(t, tlsPort, ca)
    const pin = createHash('sha256').update(certificate?.publicKey.export({ format: 'der', type: 'spki' }) ?? '')
      .digest('base64')
    if (seen.size > 0 && !seen.has(pin)) t.ok(announced.has(pin), 'the evidence had it before')
    seen.add(pin)
    const pins = await covered(tlsPort)
    t.ok(pins.includes(pin))
    for (const each of pins) announced.add(each)
    await setTimeout(200)
  }
  const unknown = await fetch(`http://127.0.0.1:${httpPort}/.well-known/acme-challenge/${'a'.repeat(43)}`)
  t.equal(unknown.status, 404)
})

t.test('workers serve with the certificate that their primary ordered', { skip, timeout: 240_000 }, async t => {
  const { pebble, server, tlsPort } = await setUp(t, {}, { POLARIS_CONTAINER_WORKERS: '2' })
  await until(() => pids(server, /"TLS key serves"/).size === 2)
  await obtained(server)
  const ca = await pebble.root()
  await setTimeout(1000)
  const pins = new Set<string>()
  for (let i = 0; i < 8; i++) {
    const socket = await tlsClient(t, tlsPort, { ca, servername: NAME, rejectUnauthorized: true })
    pins.add(pinOf(socket))
    socket.destroy()
  }
  t.equal(pins.size, 1)
  t.same(await covered(tlsPort), [...pins])
  server.child.kill('SIGTERM')
  t.equal(await server.exit, 0)
})

t.test('an authority that is down at the start: the attested key serves, and the certificate comes later', {
  skip, timeout: 240_000
}, async t => {
  const ports = await freePorts()
  const pebble = await preparePebble(t, ports)
  const server = await startServer(t, ports, pebble)
  t.match(await server.line(/could not obtain a TLS certificate/), 'ECONNREFUSED')
  t.same(await covered(ports.tlsPort), [pinOf(await tlsClient(t, ports.tlsPort))])
  await untilReady(`http://127.0.0.1:${ports.httpPort}`)
  await pebble.start()
  await obtained(server)
  t.ok(await verified(t, ports.tlsPort, await pebble.root()))
})

t.test('an account of the authority is used where it demands one', { skip, timeout: 240_000 }, async t => {
  const key = Buffer.alloc(32, 7).toString('base64url')
  const file = join(temporaryFolder(t), 'eab.key')
  writeFileSync(file, `${key}\n`, { mode: 0o400 })
  const { server } = await setUp(t, { account: ['kid-1', key] }, {
    POLARIS_CONTAINER_TLS_ACME_EAB_KEY_ID: 'kid-1',
    POLARIS_CONTAINER_TLS_ACME_EAB_KEY_FILE: file,
    POLARIS_CONTAINER_TLS_ACME_EMAIL: 'operator@example.com',
    POLARIS_CONTAINER_TLS_ACME_PROFILE: 'default'
  })
  await obtained(server)
  t.notMatch(server.lines.join(), key)
})
