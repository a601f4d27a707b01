// GPUs in what the proxy attests: a real sidecar, the real proxy, the real client. The evidence is of GPUs of our own,
// with a root of our own, since a recording answers the nonce of its day alone; that is what the recorded one is
// refused for.
import t from 'tap'
import type { ConfigInput } from '../../lib/config/config.ts'
import { ConfigError } from '../../lib/config/config.ts'
import { simulated } from '../../lib/platforms/local/simulated-evidence.ts'
import { attestKeys } from '../../sdk/attestation/index.ts'
import type { AttestationPolicy } from '../../sdk/attestation/index.ts'
import { GPU_ROOT, gpuSidecar } from '../fixtures/gpu-sidecar.ts'
import { gpuRecording, NO_GPU_RECORDING } from '../fixtures/nvidia.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { startWorkload } from '../fixtures/workload.ts'

const workloadBaseUrl = 'http://127.0.0.1:9'
const attester = await simulated()
const policy: AttestationPolicy = {
  version: 1,
  development: true,
  platforms: { simulated: { roots: [attester.root] } },
  devices: { nvidia: { count: 2, models: ['GH100'], drivers: ['580.1.2'], vbios: ['96.00.CF.00.02'] } }
}
const ours = { devices: { nvidia: { root: GPU_ROOT } } }

async function failed (baseURL: string, accepted: AttestationPolicy, options: object = ours): Promise<string[]> {
  const { verdict } = await attestKeys({ baseURL, policy: accepted, ...options })
  return verdict.checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)
}

/** However long the machine takes. */
async function until (condition: () => Promise<boolean>) {
  while (!await condition()) await new Promise(resolve => setTimeout(resolve, 20))
}

t.test('a client verifies CPU and GPUs by one challenge, and refuses what its policy does not name', async t => {
  const sidecar = await gpuSidecar(t)
  const proxy = await startProxy(
    t, { workloadBaseUrl, attestationDevices: `${sidecar.url}/evidence`, attestationDevicesCount: 2 }, { attester }
  )
  t.same(await failed(proxy.url, policy), [])
  t.same(await failed(proxy.url, { ...policy, devices: { nvidia: { count: 8 } } }), ['gpu-count'])
  t.same(await failed(proxy.url, { ...policy, devices: { nvidia: { models: ['GB100'] } } }), ['gpu-model'])
  t.same(await failed(proxy.url, policy, {}), ['gpu-certificates'], 'the root is not NVIDIA\'s')
  t.same(await failed(proxy.url, { ...policy, devices: { nvidia: { appraisal: 'nras' } } }), ['nras-answer'])
  const nonces = sidecar.asked.map(({ searchParams }) => searchParams.get('nonce') ?? '')
  t.equal(new Set(nonces).size, nonces.length, 'each challenge has a nonce of its own')
  t.ok(nonces.every(nonce => /^[\da-f]{64}$/.test(nonce)))
})

const recording = gpuRecording()
t.test('recorded evidence of eight H100 passes every check, except for the nonce of the day it was recorded', {
  skip: recording === undefined && NO_GPU_RECORDING
}, async t => {
  if (!recording) return
  const sidecar = await gpuSidecar(t)
  sidecar.instead = (response, nonce) => response.end(JSON.stringify({
    ...recording.request,
    nonce,
    evidence_list: recording.request.evidence_list.map(({ evidence, certificate }) => ({ evidence, certificate }))
  }))
  const proxy = await startProxy(
    t, { workloadBaseUrl, attestationDevices: sidecar.url, attestationDevicesCount: 8 }, { attester }
  )
  const accepted: AttestationPolicy = { ...policy, devices: { nvidia: { count: 8, models: ['GH100'] } } }
  const { verdict } = await attestKeys({ baseURL: proxy.url, policy: accepted, now: recording.when })
  const gpus = verdict.checks.filter(({ name }) => name.startsWith('gpu-'))
  t.same(gpus.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name), ['gpu-nonce'])
  t.same(gpus.filter(({ outcome }) => outcome === 'passed').map(({ name }) => name),
    ['gpu-evidence', 'gpu-certificates', 'gpu-signature', 'gpu-firmware', 'gpu-distinct', 'gpu-count', 'gpu-model'])
})

t.test('without the evidence of the GPUs the gate stays closed, says why and what to do, and opens by ' +
  'itself', async t => {
  const sidecar = await gpuSidecar(t)
  sidecar.instead = response => response.writeHead(500).end('secret')
  const workload = await startWorkload(t)
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, attestationDevices: sidecar.url, attestationRequired: true }, { attester }
  )
  const ready = async () => (await fetch(`${proxy.url}/polaris-container/readyz`)).text()
  await until(async () => (await ready()).includes('attestation: The source of device evidence answered 500'))
  t.equal((await fetch(proxy.url)).status, 503)
  t.equal((await fetch(`${proxy.url}/polaris-container/attestation?nonce=${'A'.repeat(43)}`)).status, 503)
  t.equal(workload.received.length, 0)
  const line = proxy.log.map(text => JSON.parse(text)).find(({ attestation }) => attestation?.advice !== undefined)
  t.match(line, {
    attestation: { reason: /answered 500/, advice: /POLARIS_CONTAINER_ATTESTATION_DEVICES/ },
    msg: 'could not obtain attestation evidence'
  })
  t.notMatch(proxy.log.join(''), 'secret')

  sidecar.instead = undefined
  await until(async () => (await fetch(`${proxy.url}/polaris-container/readyz`)).status === 200)
  t.equal((await fetch(proxy.url)).status, 200)
  t.same(await failed(proxy.url, policy), [])
})

t.test('settings that cannot work are refused by name', async t => {
  const cases: ReadonlyArray<readonly [ConfigInput, RegExp]> = [
    [{ attestationDevices: 'nvattest --nonce "{nonce}"' }, /ATTESTATION_DEVICES.*there is no shell/],
    [{ attestationDevices: 'nvattest | tee' }, /ATTESTATION_DEVICES.*there is no shell/],
    [{ attestationDevices: 'http://user:secret@localhost/' }, /ATTESTATION_DEVICES has a value that is not accepted/],
    [{ attestationDevices: 'http://' }, /ATTESTATION_DEVICES has a value that is not accepted/],
    [{ attestationDevicesCount: 8 }, /ATTESTATION_DEVICES_COUNT needs POLARIS_CONTAINER_ATTESTATION_DEVICES/],
    [{ attestationDevices: 'http://localhost/', attestationType: 'none' }, /ATTESTATION_TYPE is none/],
    [
      { attestationDevices: '/no/such/program', attestationType: 'simulated' },
      /\/no\/such\/program cannot be run \(ENOENT\)/
    ]
  ]
  for (const [config, message] of cases) {
    const error: unknown = await startProxy(t, { workloadBaseUrl, ...config }).then(() => undefined, error => error)
    t.ok(error instanceof ConfigError)
    t.match((error as Error).message, message)
    t.notMatch((error as Error).message, 'secret')
  }
})
