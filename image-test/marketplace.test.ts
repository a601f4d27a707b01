// What the Google Cloud Marketplace does with the app, as far as it can be done here: the deployer's image is built (on
// another base: Google's is in no package registry), the chart in it is rendered with the answers that the schema has
// by default, its pod runs, and the tester's pod makes its exchange through the Service.
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { assemble, defaultAnswers, readSchema, unpackChart } from '../test/fixtures/marketplace.ts'
import { readManifests } from '../test/fixtures/manifests.ts'
import { startBalancer } from './fixtures/balancer.ts'
import { readImage } from './fixtures/layout.ts'
import { createHostedNetwork, podman } from './fixtures/podman.ts'
import { forPodman, startPod } from './fixtures/pods.ts'

const HELM = process.env['HELM'] ?? 'helm'
const project = new URL('..', import.meta.url).pathname
const NETWORK = 'polaris-market'
const IMAGES = {
  proxy: 'localhost/polaris-secure-proxy',
  workload: 'localhost/polaris-example-workload',
  tester: 'localhost/polaris-tester'
}

interface Tester {
  spec: { containers: [{ name: string }], hostAliases?: object[] }
}

function build (tag: string, context: string, argument: string): void {
  execFileSync(
    'buildah', ['build', '--isolation', 'chroot', '--build-arg', argument, '--tag', tag, context], { stdio: 'pipe' }
  )
}

const digestOf = async (name: string) => podman(
  'image', 'inspect', '--format', '{{.Digest}}', `${IMAGES[name as keyof typeof IMAGES]}:local`
)

t.test('the tester passes against the chart with the schema\'s defaults, and fails if the proxy requires no ' +
  'encryption', {
  skip: spawnSync(HELM, ['version']).status === 0 ? false : `${HELM} is not installed`
}, async t => {
  const work = mkdtempSync(join(tmpdir(), 'marketplace-'))
  mkdirSync(join(work, 'unpacked'))
  t.teardown(() => { rmSync(work, { recursive: true }) })

  // The tester's image, as docs/marketplace.md has it.
  cpSync(join(project, 'marketplace/google/tester'), join(work, 'tester'), { recursive: true })
  execFileSync('npm', ['run', 'build', '--workspace', 'sdk'], { cwd: project, stdio: 'pipe' })
  copyFileSync(join(project, 'sdk/dist/browser.js'), join(work, 'tester/browser.js'))
  build(`${IMAGES.tester}:local`, join(work, 'tester'), `PROXY_IMAGE=${IMAGES.proxy}:local`)

  // The deployer's.
  const references = await Promise.all(
    Object.entries(IMAGES).map(async ([name, repository]) => `${repository}@${await digestOf(name)}`)
  )
  t.equal(references[0], `${IMAGES.proxy}@${readImage().digest}`)
  const context = assemble(t, 'google', [
    ...Object.keys(IMAGES).flatMap((name, index) => [`--${name}`, references[index] ?? '']),
    '--publisher', 'Example', '--partner-id', 'partner', '--product-id', 'product'
  ])
  build('localhost/polaris-deployer:local', context, 'DEPLOYER_IMAGE=localhost/polaris-runtime:local')
  const id = await podman('create', 'localhost/polaris-deployer:local')
  for (const directory of ['data', 'data-test']) await podman('cp', `${id}:/${directory}`, work)
  await podman('rm', id)
  for (const [from, to] of [
    ['chart.tar.gz', 'data/chart/chart.tar.gz'], ['schema.yaml', 'data/schema.yaml'],
    ['apptest.tar.gz', 'data-test/chart/chart.tar.gz'], ['apptest-schema.yaml', 'data-test/schema.yaml']
  ] as const) t.ok(readFileSync(join(work, to)).equals(readFileSync(join(context, from))), to)

  // The images are where they were made, since nobody has copied them.
  const chart = unpackChart(context, join(work, 'unpacked'))
  const manifests = execFileSync(HELM, [
    'template', 'market', chart, '--namespace', 'market', '--kube-version', '1.32.0',
    ...defaultAnswers(readSchema(context))
  ], { encoding: 'utf8' })
  const objects = readManifests(manifests)
  const of = (kind: string) => objects.find(object => object.kind === kind)

  const { gateway, address } = await createHostedNetwork(t, NETWORK)
  const ip = address(11)
  // The Service, under its name and port.
  const service = of('Service') as unknown as {
    metadata: { name: string }, spec: { ports: [{ port: number, targetPort: string }] }
  }
  const balancer = await startBalancer(t, { address: gateway, port: service.spec.ports[0].port, replicas: [ip] })

  const tester = of('Pod') as unknown as Tester
  tester.spec.hostAliases = [{ ip: gateway, hostnames: [service.metadata.name] }]
  const file = join(work, 'tester.yaml')
  writeFileSync(file, stringify(tester))
  const runTester = async () => {
    const name = `${service.metadata.name}-tester`
    await podman('play', 'kube', '--network', NETWORK, file)
    const code = await podman('wait', `${name}-${tester.spec.containers[0].name}`)
    const log = await podman('logs', `${name}-${tester.spec.containers[0].name}`)
    await podman('pod', 'rm', '--force', '--time', '0', name)
    return { code, log }
  }

  // Images by digest, as the chart names them.
  const images = {}
  const deployment = forPodman(manifests)
  const pod = await startPod(t, deployment, { name: 'market', network: NETWORK, ip, images })
  await balancer.until(ip, 'UP')
  const passed = await runTester()
  t.equal(passed.code, '0', passed.log)
  t.equal(passed.log, 'encrypted: 404\nunencrypted: 400 urn:polaris-secure-proxy:problem:encryption-required')

  pod.remove()
  await balancer.until(ip, 'DOWN')
  await startPod(t, deployment, {
    name: 'less',
    network: NETWORK,
    ip,
    images,
    environment: { proxy: { POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'false' } }
  })
  await balancer.until(ip, 'UP')
  const failed = await runTester()
  t.equal(failed.code, '1')
  t.match(failed.log, /^encrypted: 404$/m)
})
