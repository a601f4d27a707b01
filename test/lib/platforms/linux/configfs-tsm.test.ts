// The kernel's reports, from a directory that behaves like configfs.
import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { configfsTsm } from '../../../../lib/platforms/linux/configfs-tsm.ts'
import { reportData } from '../../../../lib/protocols/attestation.ts'
import { CERTIFICATE_GUIDS, certificateTable, configfsDriver } from '../../../fixtures/configfs.ts'

const preimage = Buffer.from('pre-image')
const binding = createHash('sha256').update(preimage).digest()

function snp (inblob: Buffer): Buffer {
  const report = Buffer.alloc(1184, 0x11)
  report.set(inblob, 0x50)
  return report
}

function tdx (inblob: Buffer): Buffer {
  const quote = Buffer.alloc(5000, 0x22)
  quote.writeUInt16LE(4, 0)
  quote.set(inblob, 568)
  return quote
}

const { vcek: VCEK, ask: ASK, arkMixedEndian: ARK_MIXED_ENDIAN, crl: CRL } = CERTIFICATE_GUIDS

t.test('an SEV-SNP report comes with the host\'s certificates, and the entry is removed', async t => {
  const driver = await configfsDriver(snp)
  t.teardown(() => driver.close())
  driver.auxblob = certificateTable([VCEK, 'vcek'], [CRL, 'crl'], [ASK, 'ask'], [ARK_MIXED_ENDIAN, 'ark'])
  const evidence = await configfsTsm({ path: driver.path }).evidence({ preimage, binding })
  t.equal(evidence.tee, 'sev-snp')
  t.same(
    evidence.evidence,
    [['application/vnd.polaris.sev-snp-report', snp(Buffer.from(reportData(binding))).toString('base64url')]]
  )
  t.same(
    evidence.endorsements,
    ['vcek', 'ask', 'ark'].map(der => ['application/pkix-cert', Buffer.from(der).toString('base64url')])
  )
  t.same(await driver.entries(), [])
})

t.test('a TDX quote comes alone', async t => {
  const driver = await configfsDriver(tdx)
  t.teardown(() => driver.close())
  driver.provider = 'tdx_guest'
  driver.auxblob = Buffer.from('not for TDX')
  const evidence = await configfsTsm({ path: driver.path }).evidence({ preimage, binding })
  t.equal(evidence.tee, 'tdx')
  t.equal(evidence.evidence[0]?.[0], 'application/vnd.polaris.tdx-quote')
  t.same(evidence.endorsements, [])
  t.same(await driver.entries(), [])
})

t.test('certificates may come from a file where the host gives none', async t => {
  const driver = await configfsDriver(snp)
  t.teardown(() => driver.close())
  const certificatesFile = join(t.testdir({}), 'chain.pem')
  await writeFile(certificatesFile, '-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n')
  const { endorsements } = await configfsTsm({ path: driver.path, certificatesFile }).evidence({ preimage, binding })
  t.same(endorsements, [['application/pkix-cert', 'AQID']])
})

t.test('a certificate table that lies about offsets gives what can be read', async t => {
  const driver = await configfsDriver(snp)
  t.teardown(() => driver.close())
  const lying = certificateTable([VCEK, 'vcek'], [ASK, 'ask'])
  lying.writeUInt32LE(0xffffffff, 16)
  driver.auxblob = lying
  const { endorsements } = await configfsTsm({ path: driver.path }).evidence({ preimage, binding })
  t.same(endorsements, [['application/pkix-cert', Buffer.from('ask').toString('base64url')]])
})

t.test('concurrent reports do not mix', async t => {
  const driver = await configfsDriver(snp)
  t.teardown(() => driver.close())
  const attester = configfsTsm({ path: driver.path })
  await Promise.all(Array.from({ length: 8 }, async () => {
    const own = randomBytes(32)
    const { evidence } = await attester.evidence({ preimage, binding: own })
    t.equal(Buffer.from(evidence[0]?.[1] ?? '', 'base64url').subarray(0x50, 0x70).toString('hex'), own.toString('hex'))
  }))
  t.same(await driver.entries(), [])
})

t.test('when another writer was faster, the report is asked for again', async t => {
  const driver = await configfsDriver(snp)
  t.teardown(() => driver.close())
  driver.intruders = 2
  const { evidence } = await configfsTsm({ path: driver.path }).evidence({ preimage, binding })
  t.equal(
    Buffer.from(evidence[0]?.[1] ?? '', 'base64url').subarray(0x50, 0x70).toString('hex'), binding.toString('hex')
  )
  t.ok(driver.answered >= 3)
})

t.test('another writer that is always faster is a failure for now, and leaves no entry', async t => {
  const driver = await configfsDriver(snp)
  t.teardown(() => driver.close())
  driver.intruders = Infinity
  await t.rejects(
    configfsTsm({ path: driver.path }).evidence({ preimage, binding }), { code: 'ERR_REMOTE', transient: true }
  )
  t.same(await driver.entries(), [])
})

t.test('an unknown provider is a failure for good', async t => {
  const driver = await configfsDriver(snp)
  t.teardown(() => driver.close())
  driver.provider = 'arm_cca_guest'
  await t.rejects(
    configfsTsm({ path: driver.path }).evidence({ preimage, binding }),
    { code: 'ERR_REMOTE', transient: false, message: /provider/ }
  )
  t.same(await driver.entries(), [])
})

t.test('a report of the wrong size is a failure for good', async t => {
  const driver = await configfsDriver(() => Buffer.alloc(1183))
  t.teardown(() => driver.close())
  await t.rejects(
    configfsTsm({ path: driver.path }).evidence({ preimage, binding }),
    { code: 'ERR_REMOTE', transient: false, message: /form/ }
  )
})

t.test('without configfs there is no report', async t => {
  await t.rejects(
    configfsTsm({ path: join(t.testdir({}), 'missing') }).evidence({ preimage, binding }),
    { code: 'ERR_REMOTE', message: /make an entry.*ENOENT/ }
  )
})
