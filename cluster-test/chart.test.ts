// The chart's life in a cluster: installed, upgraded, rolled back, removed; and never fewer replicas than promised.
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse, stringify } from 'yaml'
import { assemble, defaultAnswers, readSchema, unpackChart } from '../test/fixtures/marketplace.ts'
import { startCluster } from './fixtures/cluster.ts'
import type { KubernetesObject } from './fixtures/cluster.ts'

const chart = new URL('../examples/helm/', import.meta.url).pathname
const { kubectl, kubectlWith, helm, list, until } = await startCluster(t)
const namespace = 'confidential'

interface Deployment extends KubernetesObject {
  status: { availableReplicas?: number, updatedReplicas?: number, replicas?: number }
}

const digests = {
  first: `sha256:${'1'.repeat(64)}`, second: `sha256:${'2'.repeat(64)}`, workload: `sha256:${'3'.repeat(64)}`
}
const values = (proxy: string) => [
  `global.azure.images.proxy.digest=${proxy}`, 'global.azure.images.proxy.registry=registry.example.com',
  `global.azure.images.workload.digest=${digests.workload}`,
  'global.azure.images.workload.registry=registry.example.com', 'runtimeClassName=kata-cc'
].flatMap(value => ['--set', value])
const common = ['--namespace', namespace, '--wait', '--timeout', '60s']

const deployment = async () => (await list<Deployment>('deployments', namespace))[0]
interface Pod extends KubernetesObject {
  spec: { initContainers: { image: string }[], containers: { image: string }[] }
}
const images = async () => [...new Set((await list<Pod>('pods', namespace))
  .flatMap(({ spec }) => [...spec.initContainers, ...spec.containers].map(({ image }) => image.split('@')[1])))].sort()
const settled = async (image: string) => until(`every pod runs ${image}`, async () => {
  const { status } = await deployment() ?? {}
  return (await images()).includes(image) && (await images()).length === 2 && status?.availableReplicas === 2
    ? true
    : undefined
})

/** Watches how many replicas are available until the returned function is called, which gives the least number seen. */
async function watchAvailability () {
  let least = Infinity
  const enough = new AbortController()
  const watched = (async () => {
    while (!enough.signal.aborted) least = Math.min(least, (await deployment())?.status.availableReplicas ?? 0)
  })()
  return async () => {
    enough.abort()
    await watched
    return least
  }
}

kubectlWith([
  {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } }
  },
  { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'kata-cc' }, handler: 'kata-cc' }
].map(object => JSON.stringify(object)).join('\n---\n'), 'apply', '--filename', '-')

t.test('what the chart refuses does not reach the cluster', async t => {
  await t.rejects(
    helm('install', 'polaris', chart, ...common, ...values(digests.first), '--set', 'runtimeClassName='),
    /runtimeClassName is empty/
  )
  t.same(await list('deployments', namespace), [])
})

t.test('the API server accepts every object of it, under strict validation', async t => {
  const manifests = await helm('template', 'polaris', chart, '--namespace', namespace, ...values(digests.first))
  const { status, stderr } = kubectlWith(
    manifests, 'apply', '--server-side', '--dry-run=server', '--validate=strict', '--namespace', namespace,
    '--filename', '-'
  )
  t.equal(status, 0, stderr)
})

t.test('and the sidecar for a workload that calls another confidential service', async t => {
  const client = [
    'client.url=https://proxy.example.com', 'client.policy=x1', 'client.image.registry=registry.example.com',
    `client.image.digest=${digests.first}`
  ].flatMap(value => ['--set', value])
  const manifests = await helm(
    'template', 'polaris', chart, '--namespace', namespace, ...values(digests.first), ...client
  )
  const { status, stderr } = kubectlWith(
    manifests, 'apply', '--server-side', '--dry-run=server', '--validate=strict', '--namespace', namespace,
    '--filename', '-'
  )
  t.equal(status, 0, stderr)
  t.notMatch(stderr, /violate/)
})

t.test('it installs, and waits until all replicas are ready', async t => {
  const notes = await helm('install', 'polaris', chart, ...common, ...values(digests.first))
  t.match(notes, /kubectl --namespace confidential rollout status deployment\/polaris/)
  t.notMatch(notes, /WARNING/)
  await settled(digests.first)
})

t.test('the API server accepts what the Google Cloud Marketplace installs with the schema\'s defaults, and its ' +
  'tester', async t => {
  // A stand-in for the definition that GKE has: any Application.
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: 'applications.app.k8s.io', annotations: { 'api-approved.kubernetes.io': 'unapproved, in a test' }
    },
    spec: {
      group: 'app.k8s.io',
      scope: 'Namespaced',
      names: { kind: 'Application', plural: 'applications' },
      versions: [{
        name: 'v1beta1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
      }]
    }
  }
  t.equal(kubectlWith(definition, 'apply', '--filename', '-').status, 0)
  await kubectl('wait', '--for', 'condition=Established', 'customresourcedefinition/applications.app.k8s.io')
  const directory = assemble(t, 'google')
  const manifests = await helm(
    'template', 'market', unpackChart(directory, t.testdir()), '--namespace', namespace,
    ...defaultAnswers(readSchema(directory))
  )
  t.same(['Application', 'Pod', 'Deployment'].filter(kind => !manifests.includes(`\nkind: ${kind}\n`)), [])
  const { status, stderr } = kubectlWith(
    manifests, 'apply', '--server-side', '--dry-run=server', '--validate=strict', '--namespace', namespace,
    '--filename', '-'
  )
  t.equal(status, 0, stderr)
})

t.test('an upgrade to another image and another setting replaces all replicas, and at least as many as before stay ' +
  'available', async t => {
  const least = await watchAvailability()
  await helm(
    'upgrade', 'polaris', chart, ...common, ...values(digests.second), '--set-string',
    'settings.POLARIS_CONTAINER_STOP_DELAY=7s'
  )
  await settled(digests.second)
  t.ok(await least() >= 2)
  t.match(JSON.stringify(await deployment()), /"name":"POLARIS_CONTAINER_STOP_DELAY","value":"7s"/)
})

t.test('a later version of the chart upgrades it too', async t => {
  const later = join(t.testdir(), 'chart')
  cpSync(chart, later, { recursive: true })
  const about = parse(readFileSync(join(later, 'Chart.yaml'), 'utf8')) as Record<string, string>
  writeFileSync(join(later, 'Chart.yaml'), stringify({ ...about, version: '1.0.1', appVersion: '1.0.1' }))
  const least = await watchAvailability()
  await helm('upgrade', 'polaris', later, ...common, ...values(digests.second))
  await settled(digests.second)
  t.ok(await least() >= 2)
  t.equal(
    (await deployment())?.metadata.labels?.['app.kubernetes.io/version'], '1.0.1',
    'the selector has no version, or it could not be upgraded'
  )
})

t.test('an upgrade that the cluster refuses leaves the running version alone', async t => {
  await t.rejects(helm(
    'upgrade', 'polaris', chart, ...common, ...values(digests.first), '--set', 'runtimeClassName=no-such-class',
    '--timeout', '5s'
  ))
  t.same(await images(), [digests.second, digests.workload].sort())
  t.equal((await deployment())?.status.availableReplicas, 2)
})

t.test('a rollback brings the first image back, without a gap', async t => {
  const least = await watchAvailability()
  await helm('rollback', 'polaris', '1', ...common)
  await settled(digests.first)
  t.ok(await least() >= 2)
  t.notMatch(JSON.stringify(await deployment()), /7s/)
})

t.test('uninstalled, nothing of it is left', async t => {
  await helm('uninstall', 'polaris', ...common)
  for (const kind of [
    'deployments', 'services', 'poddisruptionbudgets', 'horizontalpodautoscalers', 'networkpolicies', 'secrets'
  ]) {
    t.same(await list(kind, namespace), [], kind)
  }
  await until('the pods are gone', async () => (await list('pods', namespace)).length === 0 ? true : undefined)
})
