// azure-snp without a sidecar, from the kernel's report and Azure's files to a verdict: the policy pins no measurement,
// only who endorses the utility VM, and the containers.
import { writeFile } from 'node:fs/promises'
import { createHash, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { azureSnpDirect } from '../../../../lib/platforms/azure/snp.ts'
import { attestKeys } from '../../../../sdk/attestation/index.ts'
import type { AttestationPolicy } from '../../../../sdk/attestation/index.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { snpMachine } from '../../../fixtures/snp-machine.ts'
import { ISSUER, endorsement } from '../../../fixtures/utility-vm.ts'

const machine = await snpMachine()
t.teardown(() => machine.close())
const root = createHash('sha256').update(
  new X509Certificate(machine.root).publicKey.export({ format: 'der', type: 'spki' })
).digest('hex')
const options = { platforms: { 'sev-snp': { roots: { [root]: 'Milan' as const } } } }
const policy: AttestationPolicy = {
  version: 1,
  platforms: { 'sev-snp': { hostData: ['bb'.repeat(32)], utilityVm: { issuers: [ISSUER], minimumSvn: 100 } } }
}
const folder = t.testdir()
const { vcek, ask, ark } = machine.certificates

async function failed (azureSecurityContext: string | undefined, referenceInfo?: string) {
  const attester = azureSnpDirect({ tsmReports: machine.path, azureSecurityContext, referenceInfo })
  const proxy = await startProxy(t, { workloadBaseUrl: 'http://127.0.0.1:9' }, { attester })
  const { verdict } = await attestKeys({ baseURL: proxy.url, policy, ...options })
  await proxy.close()
  return verdict.checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)
}

t.test('a client verifies it by the endorsement that Azure leaves in the container', async t => {
  await writeFile(join(folder, 'reference-info-base64'), endorsement().toString('base64'))
  t.same(await failed(folder), [])
  // The host gives no certificates with its report: Azure's file has them, as JSON.
  machine.auxblob = undefined
  t.same(await failed(folder), ['certificate-chain'])
  const cache = JSON.stringify({ vcekCert: vcek, certificateChain: ask + ark })
  await writeFile(join(folder, 'host-amd-cert-base64'), Buffer.from(cache).toString('base64'))
  t.same(await failed(folder), [])
  machine.auxblob = machine.table
  t.same(await failed(folder), [], 'certificates that come twice are handed out once')
})

t.test('the variable serves where there is no file', async t => {
  t.same(await failed(undefined, endorsement().toString('base64')), [])
})

t.test('without the file there is no endorsement, and the policy refuses', async t => {
  t.same(await failed(undefined), ['utility-vm'])
  t.same(await failed(join(folder, 'absent')), ['utility-vm'])
})
