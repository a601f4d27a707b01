// The image for arm64: built on this machine, of the same sources to the byte, reproducible, and at work under
// emulation.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { createPolarisFetch } from '@polaris-secure-proxy/sdk'
import { cyclonedxErrors } from '../test/fixtures/cyclonedx.ts'
import { freePort } from '../test/fixtures/process.ts'
import { readImage, unpack } from './fixtures/layout.ts'

const project = new URL('..', import.meta.url).pathname
const amd64 = readImage()
const arm64 = readImage('ARM64')

t.test('it is for arm64, and its sources and dependencies are those of the other image, to the byte', async t => {
  t.match([amd64.config, arm64.config], [{ os: 'linux' }, { os: 'linux', architecture: 'arm64' }])
  t.not(arm64.digest, amd64.digest, 'each platform has a digest of its own')
  const [application, other] = [amd64, arm64].map(({ config }) => config.rootfs.diff_ids.at(-1))
  t.equal(other, application)
  t.same(arm64.config.config, amd64.config.config, 'and it is run the same way')
})

t.test('its bill of materials and its licences name the packages of its platform', async t => {
  const bom = JSON.parse(execFileSync(
    process.execPath, [join(project, 'scripts/sbom.ts'), arm64.layout], { encoding: 'utf8', maxBuffer: 2 ** 26 }
  )) as
    { components: { purl: string }[], metadata: { component: { hashes: { content: string }[] } } }
  t.same(cyclonedxErrors(bom), [])
  t.equal(`sha256:${bom.metadata.component.hashes[0]?.content}`, arm64.digest)
  t.ok(bom.components.some(({ purl }) => /^pkg:deb\/debian\/libc6@.*\?arch=arm64$/.test(purl)))
  t.notOk(bom.components.some(({ purl }) => purl.includes('arch=amd64')))
  const licences = execFileSync(
    process.execPath, [join(project, 'scripts/licences.ts'), arm64.layout], { encoding: 'utf8' }
  )
  t.match(licences, /^\| libc6 \(Debian, arm64\) \| \S+ \| .*\S \|$/m)
  t.match(licences, /^\| fastify \| /m)
})

t.test('one index has both, the same whoever makes it, and a client gets the image of its platform', async t => {
  const [first, second] = ['first', 'second'].map(name => join(t.testdir(), name))
  const make = (directory = '', layouts: string[]) => execFileSync(
    'docker/index.sh', [directory, ...layouts], { cwd: project, encoding: 'utf8' }
  ).trim()
  const digest = make(first, [amd64.layout, arm64.layout])
  t.equal(make(second, [arm64.layout, amd64.layout]), digest)
  const index = JSON.parse(
    readFileSync(join(first ?? '', 'blobs', ...digest.split(':')), 'utf8')
  ) as { manifests: { digest: string, platform: { architecture: string } }[] }
  t.same(
    index.manifests.map(({ digest, platform }) => [platform.architecture, digest]),
    [['amd64', amd64.digest], ['arm64', arm64.digest]]
  )
  for (const { digest, config } of [amd64, arm64]) {
    const found = execFileSync(
      'skopeo', ['--override-arch', config.architecture, 'inspect', '--format', '{{.Architecture}}', `oci:${first}`],
      { encoding: 'utf8' }
    )
    t.equal(found.trim(), config.architecture, digest)
  }
  t.not(
    spawnSync('docker/index.sh', [join(t.testdir(), 'third'), amd64.layout, amd64.layout], { cwd: project }).status, 0,
    'two of one platform are refused'
  )
})

t.test('under emulation it starts, is ready, and makes an encrypted exchange', async t => {
  const workload = createServer(
    (request, response) => { response.end(`hello from ${request.url}`) }
  ).listen(0, '127.0.0.1')
  await once(workload, 'listening')
  t.teardown(() => workload.close())
  const [root, port] = [unpack(t, arm64), await freePort()]
  const { Cmd } = arm64.config.config
  const proxy = spawn('qemu-aarch64-static', ['-L', root, join(root, 'nodejs/bin/node'), ...Cmd], {
    cwd: join(root, 'app'),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      HOST: '127.0.0.1',
      PORT: String(port),
      POLARIS_CONTAINER_WORKLOAD_BASE_URL: `http://127.0.0.1:${(workload.address() as AddressInfo).port}`,
      POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'true',
      POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION: 'true'
    }
  })
  let log = ''
  for (const stream of [proxy.stdout, proxy.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => { log += text })
  }
  const ended = once(proxy, 'exit')
  t.teardown(() => { proxy.kill('SIGKILL') })
  const url = `http://127.0.0.1:${port}`
  for (const end = performance.now() + 240_000; ;) {
    const ready = await fetch(`${url}/polaris-container/readyz`).then(({ status }) => status === 200, () => false)
    if (ready) break
    if (proxy.exitCode !== null || performance.now() > end) throw new Error(`it does not get ready:\n${log}`)
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  const response = await createPolarisFetch({ baseURL: url })(`${url}/arm64`)
  t.equal(await response.text(), 'hello from /arm64')
  t.equal((await fetch(`${url}/arm64`)).status, 400, 'nothing passes unencrypted')
  proxy.kill('SIGTERM')
  t.same((await ended)[0], 0)
})
