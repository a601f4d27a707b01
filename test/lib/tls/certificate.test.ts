/** The certificate around a TLS key: what X.509 wants of one, read by OpenSSL. */
import { X509Certificate, createPublicKey, generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { selfSignedCertificate } from '../../../lib/tls/certificate.ts'

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const notBefore = new Date('2026-11-01T00:00:00Z')
const notAfter = new Date('2026-11-09T00:00:00Z')
const make = (names: readonly string[], after = notAfter) =>
  new X509Certificate(selfSignedCertificate({ key: privateKey, names, notBefore, notAfter: after }))

t.test('it is of the key, signed by it, for its time and for servers', async t => {
  const certificate = make(['localhost'])
  t.ok(certificate.checkPrivateKey(privateKey))
  t.ok(certificate.verify(createPublicKey(privateKey)))
  t.equal(certificate.ca, false)
  t.same(certificate.validFromDate, notBefore)
  t.same(certificate.validToDate, notAfter)
  t.same(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1'], 'extended key usage: serverAuth')
  t.match(certificate.serialNumber, /^[4-7][0-9A-F]{31}$/)
  t.not(make(['localhost']).serialNumber, certificate.serialNumber)
})

t.test('it has all of the names, wildcards and addresses of both families', async t => {
  const certificate = make(['api.example.com', '*.example.org', '192.0.2.7', '2001:db8::1'])
  t.equal(
    certificate.subjectAltName,
    'DNS:api.example.com, DNS:*.example.org, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:1'
  )
  for (const name of ['api.example.com', 'x.example.org']) t.type(certificate.checkHost(name), 'string', name)
  for (const ip of ['192.0.2.7', '2001:db8::1']) t.equal(certificate.checkIP(ip), ip)
  t.equal(certificate.checkHost('example.com'), undefined)
})

t.test('times from 2050 on are written as RFC 5280 wants them', async t => {
  const after = new Date('2050-01-01T00:00:00Z')
  t.same(make(['localhost'], after).validToDate, after)
  t.ok(make(['localhost'], after).raw.includes(Buffer.from('20500101000000Z')))
  t.ok(make(['localhost']).raw.includes(Buffer.from('\x17\x0d261109000000Z', 'latin1')))
})
