// Endorsements from files: which forms are read, what is refused by name, and that a file that changes is read again.
import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { EndorsementError, endorsementFiles } from '../../../lib/attestation/endorsements.ts'
import { createAuthority } from '../../fixtures/certificates.ts'

const SIGSTORE = 'application/vnd.dev.sigstore.bundle.v0.3+json'
const bundle = (name: string) => ({ mediaType: SIGSTORE, verificationMaterial: {}, dsseEnvelope: { name } })
const { certPem } = createAuthority()
const der = new X509Certificate(certPem).raw
/** The form alone counts here: it is for clients to say that this is none of AMD's. */
const list = Buffer.from('3003020101', 'hex')
const folder = t.testdir()
const warnings: string[] = []

async function file (name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, content)
  return path
}

const reads = async (...files: string[]) => (await endorsementFiles(files, reason => warnings.push(reason))).current()
const refusal = (...files: string[]) => reads(...files).then(
  items => { throw new Error(`${items.length} were read`) },
  (error: unknown) => error as EndorsementError
)

t.test('bundles, certificates, revocation lists and COSE are told by what is in them', async t => {
  const pretty = JSON.stringify(bundle('a'), null, 2)
  t.same(await reads(await file('one.json', `\ufeff${pretty}\n`)), [[SIGSTORE, JSON.stringify(bundle('a'))]])
  const lines = [bundle('a'), bundle('b')].map(value => JSON.stringify(value))
  t.same(await reads(await file('two.jsonl', `${lines.join('\n')}\n`)), lines.map(line => [SIGSTORE, line]))
  const certificate = ['application/pkix-cert', der.toString('base64url')]
  t.same(await reads(await file('chain.pem', certPem + certPem)), [certificate, certificate])
  t.same(await reads(await file('certificate.der', der)), [certificate])
  const revocations = ['application/pkix-crl', list.toString('base64url')]
  t.same(await reads(await file('list.crl', list)), [revocations])
  const pem = `-----BEGIN X509 CRL-----\n${list.toString('base64')}\n-----END X509 CRL-----\n`
  t.same(await reads(await file('list.pem', pem)), [revocations])
  t.same(
    await reads(await file('uvm.cose', Buffer.of(0xd2, 0x84, 0x40))),
    [['application/cose; cose-type="cose-sign1"', '0oRA']]
  )
  t.same(await reads(join(folder, 'uvm.cose'), join(folder, 'one.json')).then(items => items.map(([type]) => type)),
    ['application/cose; cose-type="cose-sign1"', SIGSTORE], 'in the order of the setting')
})

t.test('a file of another form is refused by name, and none of its content is repeated', async t => {
  const cases: ReadonlyArray<readonly [string | Uint8Array, RegExp]> = [
    ['', /is no Sigstore bundle/],
    ['secret', /is no Sigstore bundle/],
    ['{"mediaType":"secret"}', /is no Sigstore bundle/],
    [
      JSON.stringify({ ...bundle('a'), mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1' }),
      /of version 0\.3/
    ],
    [`${JSON.stringify(bundle('a'))}\nsecret`, /is no Sigstore bundle/],
    [`${certPem}secret`, /is no Sigstore bundle/],
    [certPem.replace('M', '!'), /is no Sigstore bundle/],
    ['-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', /is no Sigstore bundle/],
    [JSON.stringify(bundle('x'.repeat(200_000))), /more than 131072 characters/],
    ['x'.repeat(300_000), /is longer than 262144 bytes/],
    [`${JSON.stringify(bundle('a'))}\n`.repeat(7), /7 endorsements.*at most 6/s]
  ]
  for (const [content, message] of cases) {
    const error = await refusal(await file('wrong', content))
    t.ok(error instanceof EndorsementError)
    t.match(error.message, message)
    t.notMatch(error.message, 'secret')
  }
  t.match((await refusal(join(folder, 'absent'))).message, /absent cannot be read \(ENOENT\)/)
  t.match((await refusal(folder)).message, /cannot be read \(EISDIR\)/)
})

t.test('a file that changes is read again, and one that breaks leaves what was read before', async t => {
  const path = await file('changing.json', JSON.stringify(bundle('a')))
  const files = await endorsementFiles([path], reason => warnings.push(reason))
  const first = await files.current()
  t.equal(await files.current(), first, 'the same object while nothing changed')
  await writeFile(`${path}.new`, JSON.stringify(bundle('second')))
  await rename(`${path}.new`, path)
  const second = await files.current()
  t.match(second[0]?.[1], 'second')
  warnings.length = 0
  await writeFile(path, 'secret')
  t.equal(await files.current(), second)
  t.equal(await files.current(), second)
  t.match(warnings, [/changing\.json is no Sigstore bundle/], 'it warns once')
  await rm(path)
  t.equal(await files.current(), second)
  t.match(warnings, [/no Sigstore bundle/, /ENOENT/])
  await writeFile(path, JSON.stringify(bundle('third')))
  t.match((await files.current())[0]?.[1], 'third')
})

t.test('whatever a file holds is read or refused', async t => {
  const path = join(folder, 'any')
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async bytes => {
    await writeFile(path, bytes)
    await reads(path).catch((error: unknown) => { if (!(error instanceof EndorsementError)) throw error })
  }), { numRuns: 50 })
})
