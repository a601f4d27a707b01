/** Certificates from an authority, as the proxy serves them: what clients get before, while it validates, and after. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { simulated } from '../../../lib/platforms/local/simulated-evidence.ts'
import { startAcmeAuthority } from '../../fixtures/acme-authority.ts'
import type { AcmeAuthority, AcmeAuthorityOptions } from '../../fixtures/acme-authority.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import type { Proxy } from '../../fixtures/proxy.ts'
import { pinOf, servingTls, tlsClient, tlsPort, tlsRequest } from '../../fixtures/tls.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const NAME = 'proxy.example.com'
/** In DER, critical, with 32 bytes (RFC 8737, section 3). */
const ACME_IDENTIFIER = Buffer.from('06082b0601050507011f0101ff04220420', 'hex')

async function start (t: Test, authority: AcmeAuthority, config: ConfigInput = {}): Promise<Proxy> {
  const folder = t.testdir({ 'ca.pem': authority.ca, short: 'c2hvcnQ' })
  const workload = await startWorkload(t)
  return await startProxy(t, {
    workloadBaseUrl: workload.url,
    tls: 'acme',
    tlsPort: 0,
    tlsNames: NAME,
    tlsAcmeDirectory: authority.directory,
    tlsAcmeCaFile: join(folder, 'ca.pem'),
    enableInputEncryption: true,
    attestationRateLimit: 100_000,
    ...config
  }, { attester: await simulated() })
}

async function logged (proxy: Proxy, message: string): Promise<string> {
  for (;;) {
    const line = proxy.log.find(line => line.includes(message))
    if (line !== undefined) return line
    await setTimeout(20)
  }
}

async function covered (port: number): Promise<string[]> {
  const { body } = await tlsRequest(port, '/polaris-container/attestation')
  const { keys } = JSON.parse(body.toString()) as { keys: { kind: string, value: string }[] }
  return keys.filter(({ kind }) => kind === 'tls-spki')
    .map(({ value }) => createHash('sha256').update(Buffer.from(value, 'base64url')).digest('base64'))
}

/** The certificate that it was shown: Node hands it out once. */
function shown (socket: TLSSocket) {
  const certificate = socket.getPeerX509Certificate()
  const spki = certificate?.publicKey.export({ format: 'der', type: 'spki' }) ?? ''
  return {
    names: certificate?.subjectAltName,
    raw: certificate?.raw ?? Buffer.alloc(0),
    pin: createHash('sha256').update(spki).digest('base64')
  }
}

/** As an authority looks: what is shown to it for tls-alpn-01. */
async function lookByTls (t: Test, port: number, name: string, keyAuthorization: string): Promise<void> {
  for (const servername of ['', 'other.example.com']) {
    await t.rejects(tlsClient(t, port, { servername, ALPNProtocols: ['acme-tls/1'] }), /no application protocol/)
  }
  const socket = await tlsClient(t, port, { servername: name, ALPNProtocols: ['acme-tls/1'] })
  const { names, pin, raw } = shown(socket)
  t.equal(socket.alpnProtocol, 'acme-tls/1')
  t.equal(names, `DNS:${name}`)
  t.ok(raw.includes(Buffer.concat([ACME_IDENTIFIER, createHash('sha256').update(keyAuthorization).digest()])))
  t.notOk((await covered(port)).includes(pin), 'its key is no attested one')
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  t.equal(await text(socket), '', 'nothing else is served there')
}

t.test('tls-alpn-01: attested and self-signed first, then issued, with the same key', async t => {
  const state: { proxy?: Proxy } = {}
  const options: AcmeAuthorityOptions = {
    validate: async (name, _token, answer) => {
      if (state.proxy !== undefined) await lookByTls(t, await tlsPort(state.proxy), name, answer)
    }
  }
  const authority = await startAcmeAuthority(t, options)
  authority.meddle = what => what === 'dir' && state.proxy === undefined ? { status: 503 } : undefined
  const proxy = await start(t, authority)
  const port = await servingTls(proxy)
  const before = await tlsClient(t, port, { servername: NAME })
  const { names, pin } = shown(before)
  t.equal(names, `DNS:${NAME}`)
  t.same(await covered(port), [pin])
  t.match(await (await fetch(`${proxy.url}/polaris-container/readyz`)).json(), { status: 'ok' })
  for (const servername of [NAME, 'other.example.com', '']) {
    await t.rejects(tlsClient(t, port, { servername, ALPNProtocols: ['acme-tls/1'] }), /no application protocol/)
  }
  t.match(await logged(proxy, 'could not obtain a TLS certificate'), '"retryIn":')
  state.proxy = proxy
  await logged(proxy, 'TLS certificate obtained')
  const after = await tlsClient(t, port, { servername: NAME, ca: authority.root, rejectUnauthorized: true })
  t.equal(pinOf(after), pin)
  t.same(await covered(port), [pin])
  t.equal((await tlsRequest(port, '/', { servername: NAME })).status, 200, 'it counts as encrypted')
  await t.rejects(tlsClient(t, port, { servername: NAME, ALPNProtocols: ['acme-tls/1'] }), /no application protocol/)
  t.equal((await tlsClient(t, port, { ALPNProtocols: ['h2', 'http/1.1'] })).alpnProtocol, 'h2')
  await t.rejects(tlsClient(t, port, { ALPNProtocols: ['acme-tls/1', 'h2', 'x'].slice(2) }), /no application protocol/)
  t.notMatch(proxy.log.join(''), 'PRIVATE KEY')
})

t.test('http-01: only the tokens of the moment are answered, and only while they are', async t => {
  const state: { proxy?: Proxy } = {}
  const ask = async (token: string) => {
    const answer = await fetch(`${state.proxy?.url}/.well-known/acme-challenge/${token}`)
    return { status: answer.status, body: await answer.text() }
  }
  const tokens: string[] = []
  const authority = await startAcmeAuthority(t, {
    validate: async (_name, token, answer) => {
      tokens.push(token)
      t.same(await ask(token), { status: 200, body: answer })
      for (const wrong of [token.slice(1), `${token}x`, token.toUpperCase(), 'a'.repeat(43), `${token}%00`]) {
        t.equal((await ask(wrong)).status, 404)
      }
    }
  })
  authority.meddle = what => what === 'dir' && state.proxy === undefined ? { status: 503 } : undefined
  const proxy = await start(t, authority, { tlsAcmeChallenge: 'http-01', contextRoot: '/root' })
  state.proxy = proxy
  const port = await servingTls(proxy)
  await logged(proxy, 'TLS certificate obtained')
  await tlsClient(t, port, { servername: NAME, ca: authority.root, rejectUnauthorized: true })
  t.equal(tokens.length, 1)
  t.equal((await ask(tokens[0] ?? '')).status, 404)
})

t.test('renewals: each key is attested before it serves, and the old one for as long after', async t => {
  const authority = await startAcmeAuthority(t, { validity: 12 })
  const proxy = await start(t, authority, { tlsOverlap: '2s' })
  const port = await servingTls(proxy)
  await logged(proxy, 'TLS certificate obtained')
  const seen = new Set<string>()
  const announced = new Set<string>()
  let together = 0
  while (seen.size < 3) {
    const socket = await tlsClient(t, port, { servername: NAME, ca: authority.root, rejectUnauthorized: true })
    const pin = pinOf(socket)
    socket.destroy()
    if (seen.size > 0 && !seen.has(pin)) t.ok(announced.has(pin), 'the evidence had it before')
    seen.add(pin)
    const pins = await covered(port)
    if (!pins.includes(pin)) t.fail('a key without evidence')
    if (pins.length > 1) together++
    for (const each of pins) announced.add(each)
    await setTimeout(100)
  }
  t.ok(together > 0)
  const { keys } = await (await fetch(`${proxy.url}/polaris-container/keys`)).json() as {
    keys: { protocol: string, state: string }[]
  }
  t.ok(keys.some(({ protocol, state }) => protocol === 'tls' && state === 'active'))
})

t.test('files that cannot be used are named', async t => {
  const authority = await startAcmeAuthority(t)
  await t.rejects(start(t, authority, { tlsAcmeCaFile: '/nowhere/ca.pem' }), /TLS_ACME_CA_FILE: .*cannot be read/)
  await t.rejects(
    start(t, authority, { tlsAcmeEabKeyId: 'kid', tlsAcmeEabKeyFile: join(t.testdirName, 'short') }),
    /EAB_KEY_FILE: .*at least 16 bytes/
  )
})
