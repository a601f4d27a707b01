// The example's source of GPU evidence, run as it is: its HTTP surface, as a command, and with the proxy and a client.
// There is no GPU here. A stand-in for NVML's bindings, and one for nvattest, hand out evidence signed by keys of this
// test.
import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { json } from 'node:stream/consumers'
import t from 'tap'
import type { Test } from 'tap'
import { parseAllDocuments } from 'yaml'
import { loadConfig } from '../../lib/config/config.ts'
import { simulated } from '../../lib/platforms/local/simulated-evidence.ts'
import { attestKeys } from '../../sdk/attestation/index.ts'
import type { AttestationPolicy } from '../../sdk/attestation/index.ts'
import { GPU_ROOT, gpuSidecar } from '../fixtures/gpu-sidecar.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { root } from '../fixtures/script.ts'

const example = join(root, 'examples/gpu')
const nonce = 'ab'.repeat(32)

/** NVML's bindings, as far as the example calls them; their evidence is what the URL in FAKE_GPUS answers. */
const FAKE_NVML = `
import base64, ctypes, json, os, urllib.request
class NVMLError(Exception): pass
class Report:
    def __init__(self, data):
        self.attestationReportSize = len(data)
        self.attestationReport = (ctypes.c_uint8 * 8192)(*data)
class Certificate:
    def __init__(self, data):
        self.attestationCertChainSize = len(data)
        self.attestationCertChain = (ctypes.c_uint8 * 5120)(*data)
def nvmlInit():
    if os.environ.get("FAKE_GPUS") == "broken": raise NVMLError("Driver Not Loaded")
def nvmlShutdown(): pass
def nvmlDeviceGetCount(): return 2
def nvmlDeviceGetHandleByIndex(i): return i
def nvmlDeviceGetArchitecture(handle): return 9
def listed(handle, nonce):
    with urllib.request.urlopen(os.environ["FAKE_GPUS"] + "/?nonce=" + nonce.hex()) as answer:
        return json.load(answer)["evidence_list"][handle]
def nvmlDeviceGetConfComputeGpuAttestationReport(handle, nonce):
    return Report(base64.b64decode(listed(handle, nonce)["evidence"]))
def nvmlDeviceGetConfComputeGpuCertificate(handle):
    return Certificate(base64.b64decode(listed(handle, bytes(32))["certificate"]))
`
const FAKE_NVATTEST = `#!/usr/bin/env python3
import json, os, sys, urllib.request
nonce = sys.argv[sys.argv.index("--nonce") + 1]
with urllib.request.urlopen(os.environ["FAKE_GPUS"] + "/?nonce=" + nonce) as answer: asked = json.load(answer)
print(json.dumps({"evidences": [{"version": "1.0", "arch": asked["arch"], "nonce": nonce, **item} for item in asked["evidence_list"]], "result_code": 0, "result_message": "Ok"}))
`

function hasPython (): boolean {
  try {
    execFileSync('python3', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const skip = hasPython() ? false : 'python3 is not installed'
const folder = t.testdir({ modules: { 'pynvml.py': FAKE_NVML }, bin: { nvattest: FAKE_NVATTEST } })
await chmod(join(folder, 'bin/nvattest'), 0o755)
const environment = (gpus: string, tool = false) => ({
  PATH: tool ? `${join(folder, 'bin')}:${process.env['PATH']}` : process.env['PATH'],
  PYTHONPATH: join(folder, 'modules'),
  PYTHONDONTWRITEBYTECODE: '1',
  FAKE_GPUS: gpus
})

/** The service, stopped with the test. */
async function serve (t: Test, env: NodeJS.ProcessEnv, ...args: string[]): Promise<string> {
  const child = spawn(
    'python3', [join(example, 'evidence.py'), '--listen', '127.0.0.1:0', ...args],
    { env, stdio: ['ignore', 'ignore', 'pipe'] }
  )
  t.teardown(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  for await (const line of createInterface(child.stderr)) {
    const [, url] = /listening on (http:\S+)/.exec(line) ?? []
    if (url !== undefined) {
      child.stderr.resume()
      return url
    }
  }
  throw new Error('the service did not start')
}

const attester = await simulated()
const policy: AttestationPolicy = {
  version: 1,
  development: true,
  platforms: { simulated: { roots: [attester.root] } },
  devices: { nvidia: { count: 2, models: ['GH100'] } }
}

t.test('a client verifies what the service hands the proxy, by NVML and by nvattest', { skip }, async t => {
  const gpus = await gpuSidecar(t)
  for (const source of ['nvml', 'nvattest']) {
    const url = await serve(t, environment(gpus.url, true), '--source', source)
    const proxy = await startProxy(
      t, { workloadBaseUrl: 'http://127.0.0.1:9', attestationDevices: `${url}/evidence`, attestationDevicesCount: 2 },
      { attester }
    )
    const { verdict } = await attestKeys({ baseURL: proxy.url, policy, devices: { nvidia: { root: GPU_ROOT } } })
    t.same(verdict.checks.filter(({ outcome }) => outcome === 'failed'), [], source)
    await proxy.close()
  }
})

t.test('the service answers one well-formed nonce, and says what is wrong otherwise', { skip }, async t => {
  const gpus = await gpuSidecar(t)
  const url = await serve(t, environment(gpus.url))
  const cases: ReadonlyArray<readonly [path: string, status: number]> = [
    [`/evidence?nonce=${nonce}`, 200], ['/healthz', 200], ['/', 404], ['/evidence', 400], ['/evidence?nonce=ab', 400],
    [`/evidence?nonce=${nonce.toUpperCase()}`, 400], [`/evidence?nonce=${nonce}&nonce=${nonce}`, 400],
    [`/evidence?nonce=${nonce}%0A`, 400]
  ]
  for (const [path, status] of cases) {
    const answer = await fetch(url + path)
    t.equal(answer.status, status, path)
    t.equal(answer.headers.get('cache-control'), 'no-store')
    t.type(await answer.json(), 'object')
  }
  const broken = await serve(t, environment('broken'))
  const answer = await fetch(`${broken}/evidence?nonce=${nonce}`)
  t.equal(answer.status, 503)
  t.match(await answer.json(), { error: /Driver Not Loaded/ })
})

t.test('as a command it prints the same, takes nvattest where it is, and fails with a status', { skip }, async t => {
  const gpus = await gpuSidecar(t)
  const run = (env: NodeJS.ProcessEnv, ...args: string[]) => new Promise<{
    status: unknown, stdout: string, stderr: string
  }>(resolve => {
    execFile(
      'python3', [join(example, 'evidence.py'), ...args], { env },
      (error, stdout, stderr) => resolve({ status: error ? error.code : 0, stdout, stderr })
    )
  })
  const nvml = await run(environment(gpus.url), '--nonce', nonce)
  t.match(JSON.parse(nvml.stdout), { arch: 'HOPPER', nonce, evidence_list: [{}, {}] })
  t.match(
    JSON.parse((await run(environment(gpus.url, true), '--nonce', nonce)).stdout),
    { result_code: 0, evidences: [{ nonce }, { nonce }] }
  )
  t.match(await run(environment('broken'), '--nonce', nonce), { status: 1, stdout: '', stderr: /Driver Not Loaded/ })
  t.match(await run(environment(gpus.url), '--nonce', 'x'), { status: 2, stdout: '' })
})

t.test('with --nras the answer of NVIDIA\'s service is added', { skip }, async t => {
  const gpus = await gpuSidecar(t)
  const asked: unknown[] = []
  const service = createServer(async (request, response) => {
    asked.push(await json(request))
    response.end(JSON.stringify([['JWT', 'a.b.c'], {}]))
  }).listen(0, '127.0.0.1')
  await once(service, 'listening')
  t.teardown(() => service.close())
  const nras = `http://127.0.0.1:${(service.address() as AddressInfo).port}/v3/attest/gpu`
  for (const source of ['nvml', 'nvattest']) {
    const url = await serve(t, environment(gpus.url, true), '--nras', nras, '--source', source)
    t.match(
      await (await fetch(`${url}/evidence?nonce=${nonce}`)).json(),
      { nonce, evidence_list: [{}, {}], nras_answer: [['JWT', 'a.b.c'], {}] }
    )
    t.match(asked.pop(), { arch: 'HOPPER', nonce, evidence_list: [{}, {}] })
  }
})

t.test('the manifest is one pod whose proxy has settings that it accepts, and whose containers are ' +
  'confined', async t => {
  const [document] = parseAllDocuments(readFileSync(join(example, 'pod.yaml'), 'utf8'))
  const { spec } = document?.toJS() as {
    spec: {
      runtimeClassName: string,
      containers: Array<{ name: string, env?: Array<{ name: string, value: string }>, securityContext: object }>
    }
  }
  t.same(spec.containers.map(({ name }) => name), ['proxy', 'gpu-evidence', 'workload'])
  const config = loadConfig(Object.fromEntries(spec.containers[0]?.env?.map(({ name, value }) => [name, value]) ?? []))
  t.match(
    config,
    { attestationRequired: true, attestationDevices: 'http://127.0.0.1:8090/evidence', attestationDevicesCount: 8 }
  )
  for (const { securityContext } of spec.containers) {
    t.match(securityContext, { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } })
  }
})
