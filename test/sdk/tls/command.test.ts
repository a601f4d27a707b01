/** `polaris verify` and `polaris keys --format curl` on TLS that ends in the TEE, and on TLS that does not. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect as connectTcp } from 'node:net'
import type { AddressInfo } from 'node:net'
import { createServer, connect as connectTls } from 'node:tls'
import { promisify } from 'node:util'
import t from 'tap'
import { simulated } from '../../../lib/platforms/local/simulated-evidence.ts'
import { createAuthority } from '../../fixtures/certificates.ts'
import { polaris } from '../../fixtures/polaris-cli.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { pinOf, servingTls, tlsClient } from '../../fixtures/tls.ts'
import { startWorkload } from '../../fixtures/workload.ts'

t.setTimeout(240_000)
const attester = await simulated()
const folder = t.testdir({
  'policy.json': JSON.stringify({ version: 1, development: true, insecure: true, platforms: { simulated: {} } })
})
const policy = ['--policy', `${folder}/policy.json`]
const workload = await startWorkload(t)
const proxy = await startProxy(
  t, { workloadBaseUrl: workload.url, tls: 'attested', tlsPort: 0, enableInputEncryption: true }, { attester }
)
const port = await servingTls(proxy)
const url = `https://localhost:${port}`
const pin = pinOf(await tlsClient(t, port))

/** Ends TLS with a certificate of its own. */
async function middle (onward: number, isTls: boolean) {
  const authority = createAuthority()
  const { certPem, keyPem } = authority.issue(['localhost'])
  const server = createServer({ cert: certPem, key: keyPem, ALPNProtocols: ['http/1.1'] }, socket => {
    const to = isTls
      ? connectTls({ port: onward, host: '127.0.0.1', rejectUnauthorized: false })
      : connectTcp(onward, '127.0.0.1')
    socket.pipe(to).pipe(socket)
    for (const each of [socket, to]) each.on('error', () => { socket.destroy(); to.destroy() })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const address = `https://localhost:${(server.address() as AddressInfo).port}`
  await writeFile(`${folder}/ca.pem`, authority.certPem)
  return { url: address, key: pinOf(await tlsClient(t, Number(new URL(address).port))), ca: `${folder}/ca.pem` }
}

t.test('verify shows the key of the connection, and that it is the attested one', async t => {
  const { status, stdout, stderr } = await polaris(['verify', url, ...policy])
  t.equal(status, 0, stderr)
  t.ok(stdout.includes(`TLS key sha256//${pin}: attested, so TLS ends in the TEE\n`), stdout)
  const { stdout: machine } = await polaris(['verify', url, ...policy, '--json'])
  t.same((JSON.parse(machine) as { tls: object }).tls, { pin, attested: true })
})

t.test('keys --format curl prints a command that works, and works with no other key', async t => {
  const { status, stdout } = await polaris(['keys', url, ...policy, '--format', 'curl'])
  t.equal(status, 0)
  t.equal(stdout, `curl --insecure --pinnedpubkey 'sha256//${pin}' '${url}/'\n`)
  const curl = (command: string) => promisify(execFile)('sh', ['-c', command]).catch((error: unknown) => error)
  const answer = await curl(`${stdout.trim()}records --silent`) as { stdout: string }
  t.match(JSON.parse(answer.stdout), { url: '/records' })
  const other = stdout.replace(/sha256\/\/./, match => match === 'sha256//A' ? 'sha256//B' : 'sha256//A')
  t.match(await curl(other.trim()), { code: 90 })
})

t.test('a terminator in front is noticed: refused if nothing vouches for it, said if an authority does', async t => {
  const between = await middle(port, true)
  const refused = await polaris(['verify', between.url, ...policy])
  t.equal(refused.status, 1)
  t.ok(refused.stdout.includes(`TLS key sha256//${between.key}: not attested`), refused.stdout)
  t.match(refused.stderr, /its key is none that the TEE has proven/)

  const plain = await startProxy(t, { workloadBaseUrl: workload.url }, { attester })
  const unattested = await middle(plain.port, false)
  const untrusted = await polaris(['verify', unattested.url, ...policy])
  t.equal(untrusted.status, 2)
  t.match(untrusted.stderr, /self-signed|unable to verify/)
  t.match(await polaris(['keys', plain.url, ...policy, '--format', 'curl']), {
    status: 1, stderr: /covers no TLS key: set POLARIS_CONTAINER_TLS=attested/
  })
})

t.test('an authority that vouches for a terminator is enough for OHTTP, and verify says where TLS ends', async t => {
  const between = await middle(port, true)
  const { status, stdout, stderr } = await polaris(['verify', between.url, ...policy, '--cacert', between.ca])
  t.equal(status, 0, stderr)
  t.ok(stdout.includes(`TLS key sha256//${between.key}: not attested`), stdout)
})
