/** TLS with certificate and key from files: read again when they change, never attested, worth less. */
import { mkdtempSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { createAuthority } from '../../fixtures/certificates.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { pinOf, servingTls, tlsClient, tlsRequest } from '../../fixtures/tls.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const authority = createAuthority()

function files (folder: string) {
  const [tlsCertFile, tlsKeyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const write = ({ certPem, keyPem } = authority.issue(['localhost'])) => {
    writeFileSync(tlsCertFile, certPem)
    writeFileSync(tlsKeyFile, keyPem)
  }
  write()
  return { tlsCertFile, tlsKeyFile, write }
}

async function setUp (t: Test, config: ConfigInput = {}) {
  const { write, ...named } = config.tlsCertFile === undefined
    ? files(mkdtempSync(join(t.testdir(), 'x')))
    : { write: () => undefined }
  const workload = await startWorkload(t)
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, tls: 'files', tlsPort: 0, attestationType: 'simulated', ...named, ...config }
  )
  return { proxy, write, tlsKeyFile: '', ...named, port: await servingTls(proxy) }
}

t.test('a certificate of an authority is served, with a new pair as soon as the files change', async t => {
  const { port, write, proxy, tlsKeyFile } = await setUp(t)
  const connected = () => tlsClient(
    t, port, { ca: authority.certPem, servername: 'localhost', rejectUnauthorized: true }
  )
  const first = await connected()
  t.equal(first.authorized, true)
  const served = async () => pinOf(await connected())
  const pins = [pinOf(first)]
  write()
  while (await served() === pins[0]) await setTimeout(100)
  pins.push(await served())

  // Between two writes the proxy may find a pair that does not match, and say so.
  const complaints = () => proxy.log.filter(line => line.includes('cannot be read again')).length
  const before = complaints()
  writeFileSync(tlsKeyFile, 'no key')
  while (complaints() === before) await setTimeout(100)
  t.equal(await served(), pins[1], 'those read before stay in use')
  t.equal(complaints(), before + 1)
  write()
  while (await served() === pins[1]) await setTimeout(100)
})

t.test('files behind a symbolic link that is set anew, as Kubernetes does it, are noticed', async t => {
  const folder = t.testdir({ a: {}, b: {} })
  for (const name of ['a', 'b']) {
    const { certPem, keyPem } = authority.issue(['localhost'])
    writeFileSync(join(folder, name, 'cert.pem'), certPem)
    writeFileSync(join(folder, name, 'key.pem'), keyPem)
  }
  const link = join(folder, 'data')
  symlinkSync('a', link)
  const { port } = await setUp(t, { tlsCertFile: join(link, 'cert.pem'), tlsKeyFile: join(link, 'key.pem') })
  const before = pinOf(await tlsClient(t, port))
  symlinkSync('b', `${link}.new`)
  renameSync(`${link}.new`, link)
  while (pinOf(await tlsClient(t, port)) === before) await setTimeout(100)
})

t.test('the key is not attested, and it counts as encrypted only if the operator says so', async t => {
  const { port, proxy } = await setUp(t, { enableInputEncryption: true })
  const asked = await tlsRequest(port, '/polaris-container/attestation')
  t.equal(asked.status, 200)
  t.notMatch(asked.body.toString(), 'tls-spki')
  t.notMatch(asked.body.toString(), 'tls-key-from-files')
  t.ok(proxy.log.some(line => line.includes('The TLS key comes from a file')))
  const refused = await tlsRequest(port, '/')
  t.equal(refused.status, 400)
  t.match(refused.body.toString(), 'encryption-required')

  const trusting = await setUp(t, { enableInputEncryption: true, tlsFilesSuffice: true })
  t.equal((await tlsRequest(trusting.port, '/')).status, 200)
  t.ok(trusting.proxy.log.some(line => line.includes('TLS whose key was outside of the TEE')))
  t.match((await tlsRequest(trusting.port, '/polaris-container/attestation')).body.toString(), 'tls-key-from-files')
})

t.test('a pair that cannot be used stops the start, by name', async t => {
  const folder = t.testdir()
  const { tlsCertFile, tlsKeyFile } = files(folder)
  const start = (config: ConfigInput) => startProxy(
    t, { workloadBaseUrl: 'http://localhost:1', tls: 'files', tlsPort: 0, tlsCertFile, tlsKeyFile, ...config }
  )
  const other = join(folder, 'other.pem')
  writeFileSync(other, authority.issue(['localhost']).keyPem)
  await t.rejects(start({ tlsKeyFile: other }), /TLS_CERT_FILE and .*TLS_KEY_FILE cannot be used together: the key is/)
  writeFileSync(tlsCertFile, 'nothing')
  await t.rejects(start({}), /cannot be used together/)
  unlinkSync(tlsCertFile)
  await t.rejects(start({}), /TLS_CERT_FILE: .* cannot be read \(ENOENT\)/)
})
