// The kustomizations of examples/kubernetes in a cluster: what its API accepts and refuses, and what becomes of them.
import { readFileSync } from 'node:fs'
import t from 'tap'
import type { Test } from 'tap'
import { startCluster } from './fixtures/cluster.ts'
import type { KubernetesObject } from './fixtures/cluster.ts'
import { startMetrics } from './fixtures/metrics.ts'
import { allowed } from './fixtures/traffic.ts'
import type { Traffic } from './fixtures/traffic.ts'

const examples = new URL('../examples/kubernetes/', import.meta.url).pathname
const cluster = await startCluster(t)
const { kubectl, kubectlWith, list, until } = cluster

interface Deployment extends KubernetesObject {
  status: { availableReplicas?: number, updatedReplicas?: number, replicas?: number, observedGeneration?: number }
}

const deployment = async (name: string) => (await list<Deployment>(
  'deployments', 'polaris'
)).find(({ metadata }) => metadata.name === name)
const available = async (
  name: string, count: number
) => until(`${count} replicas of ${name} are available`, async () => {
  const { status } = await deployment(name) ?? {}
  return status?.availableReplicas === count && status.replicas === count ? status : undefined
})
const build = (path: string) => kubectl('kustomize', `${examples}${path}`)
const apply = async (path: string) => kubectlWith(
  await build(path), 'apply', '--server-side', '--force-conflicts', '--validate=strict', '--filename', '-'
)

t.test('a manifest with a field that does not exist is refused, so those below would be too', async t => {
  const { status, stderr } = kubectlWith({
    apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: { port: 80, ports: [{ port: 80 }] }
  }, 'apply', '--server-side', '--validate=strict', '--filename', '-')
  t.equal(status, 1)
  t.match(stderr, /spec\.port: field not declared in schema|unknown field "spec\.port"/)
})

t.test('a cluster without the confidential runtime class takes the base, and runs nothing of it', async t => {
  const { status, stderr } = await apply('base')
  t.equal(status, 0, stderr)
  const refused = await until('the pods are refused', async () =>
    (await list<KubernetesObject & { reason: string, message: string }>('events', 'polaris')).find(({ reason }) =>
      reason === 'FailedCreate'))
  t.match(refused.message, /RuntimeClass "kata-cc" not found/)
  t.same(await list('pods', 'polaris'), [])
})

t.test('with the class, and the restricted pod security standard enforced, it runs as many replicas as the ' +
  'autoscaler wants', async t => {
  const { status, stderr } = kubectlWith({
    apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'kata-cc' }, handler: 'kata-cc'
  },
  'apply', '--filename', '-')
  t.equal(status, 0, stderr)
  // The controller would try again by itself, with growing pauses.
  await kubectl('rollout', 'restart', '--namespace', 'polaris', 'deployment/polaris')
  await available('polaris', 2)
  const [namespace] = (JSON.parse(
    await kubectl('get', 'namespaces', '--output', 'json')
  ) as { items: KubernetesObject[] }).items
    .filter(({ metadata }) => metadata.name === 'polaris')
  t.equal(namespace?.metadata.labels?.['pod-security.kubernetes.io/enforce'], 'restricted')
})

t.test('the pod of examples/local-proxy is accepted there, with its sidecar', async t => {
  const pod = readFileSync(new URL('../examples/local-proxy/pod.yaml', import.meta.url), 'utf8')
  const { status, stderr } = kubectlWith(
    pod, 'apply', '--namespace', 'polaris', '--server-side', '--dry-run=server', '--validate=strict', '--filename', '-'
  )
  t.equal(status, 0, stderr)
  t.notMatch(stderr, /violate/)
})

t.test('a pod that is less than restricted is refused there', async t => {
  for (const [what, patch] of [
    ['root', { spec: { securityContext: { runAsNonRoot: false, runAsUser: 0 } } }],
    ['privileges', { spec: { containers: [{ name: 'proxy', securityContext: { allowPrivilegeEscalation: true } }] } }]
  ] as const) {
    const { status, stderr } = kubectlWith({
      ...JSON.parse(await kubectl('get', '--namespace', 'polaris', '--output', 'json', 'deployment/polaris')) as object,
      metadata: { name: 'less', namespace: 'polaris' }
    }, 'apply', '--filename', '-')
    t.equal(status, 0, stderr)
    await kubectl(
      'patch', '--namespace', 'polaris', 'deployment/less', '--patch', JSON.stringify({ spec: { template: patch } })
    )
    const { message } = await until('the pod is refused', async () =>
      (await list<KubernetesObject & { message: string }>('events', 'polaris')).find(
        ({ message }) => /violates PodSecurity "restricted/.test(message)
      ))
    t.match(message, /violates PodSecurity "restricted:latest"/, what)
    await kubectl('delete', '--namespace', 'polaris', 'deployment/less')
    await kubectl('delete', '--namespace', 'polaris', 'events', '--all')
  }
})

t.test('applying it again changes nothing', async t => {
  const before = (await deployment('polaris'))?.metadata
  t.equal((await apply('base')).status, 0)
  const { stdout } = kubectlWith(await build('base'), 'diff', '--server-side', '--force-conflicts', '--filename', '-')
  t.equal(stdout, '')
  t.equal((await deployment('polaris'))?.metadata.uid, before?.uid)
})

t.test('the Service reaches every replica, and keeps a client at one', async t => {
  const slices = await until('both replicas are endpoints', async () => {
    const found = await list<KubernetesObject & {
      endpoints: { conditions: { ready: boolean } }[] | null, ports: { port: number }[]
    }>('endpointslices', 'polaris')
    // The pods have addresses of one family, so the slice of the other is empty.
    const used = found.filter(({ endpoints }) => endpoints?.some(({ conditions }) => conditions.ready))
    return used.flatMap(({ endpoints }) => endpoints ?? []).length >= 2 ? used : undefined
  })
  t.same(slices.flatMap(({ ports }) => ports.map(({ port }) => port)), [3000])
  const [service] = await list('services', 'polaris')
  t.equal(service?.spec?.['sessionAffinity'], 'ClientIP')
  t.same(service?.spec?.['ipFamilies'], ['IPv4', 'IPv6'], 'of both families, since this cluster has both')
})

const proxy = ['polaris', 'polaris'] as const
const store = ['polaris', 'replay-store'] as const
const other = ['default', 'other'] as const

/**
 * Where a client may be, and what a compromised proxy, workload or store would try; and whether the policies allow it.
 */
const TRAFFIC: ReadonlyArray<readonly [string, Traffic, boolean | 'with the store']> = [
  ['a client outside to the proxy', ['192.0.2.1', proxy, 3000], true],
  ['a client of IPv6 to the proxy', ['2001:db8::1', proxy, 3000], true],
  ['another pod to the proxy', [other, proxy, 3000], true],
  ['a client to the workload', ['192.0.2.1', proxy, 3001], false],
  ['another pod to the workload', [other, proxy, 3001], false],
  ['one replica to the workload of another', [proxy, proxy, 3001], false],
  ['name resolution', [proxy, ['kube-system', 'kube-dns'], 53, 'UDP'], true],
  ['name resolution, of long answers', [proxy, ['kube-system', 'kube-dns'], 53], true],
  ['another port there', [proxy, ['kube-system', 'kube-dns'], 9153], false],
  ['something that calls itself name resolution', [proxy, ['default', 'kube-dns'], 53, 'UDP'], false],
  ['the workload to the internet', [proxy, '203.0.113.7', 443], false],
  ['the same by IPv6', [proxy, '2001:db8::7', 443], false],
  ['the workload to the metadata server', [proxy, '169.254.169.254', 80], false],
  ['the workload to another pod', [proxy, other, 80], false],
  ['the proxy to the replay store', [proxy, store, 6379], 'with the store'],
  ['the proxy to another port of it', [proxy, store, 22], false]
]
const STORE: typeof TRAFFIC = [
  ['another pod to the replay store', [other, store, 6379], false],
  ['a client to the replay store', ['192.0.2.1', store, 6379], false],
  ['the replay store to the internet', [store, '203.0.113.7', 443], false],
  ['the replay store to the proxy', [store, proxy, 3000], false]
]

async function checkTraffic (t: Test, cases: typeof TRAFFIC, withStore: boolean) {
  const verdicts = await allowed(cluster, 'polaris', cases.map(([, traffic]) => traffic))
  for (const [index, [name, , expected]] of cases.entries()) {
    t.equal(verdicts[index], expected === 'with the store' ? withStore : expected, name)
  }
}

t.test('the NetworkPolicy lets clients in to the proxy, nothing in to the workload, and nothing out but name ' +
  'resolution', async t => {
  await checkTraffic(t, TRAFFIC, false)
  t.same(
    await allowed(cluster, 'default', [[proxy, '203.0.113.7', 443]]), [true], 'without a policy it would be allowed'
  )
})

t.test('an evicted replica is replaced before the next one may go', async t => {
  await kubectl('cordon', 'one', 'two')
  t.teardown(async () => {
    await kubectl('uncordon', 'one', 'two')
    await available('polaris', 2)
  })
  await until('the budget has counted them', async () => {
    const [budget] = await list('poddisruptionbudgets', 'polaris')
    return budget?.status?.['disruptionsAllowed'] === 1 ? budget : undefined
  })
  const evict = (name: string) => kubectlWith({
    apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: 'polaris' }
  },
  'create', '--raw', `/api/v1/namespaces/polaris/pods/${name}/eviction`, '--filename', '-')
  const [first, second] = (await list('pods', 'polaris')).map(({ metadata }) => metadata.name)
  const evicted = evict(first ?? '')
  t.equal(evicted.status, 0, evicted.stderr)
  const refused = evict(second ?? '')
  t.equal(refused.status, 1)
  t.match(refused.stderr, /Cannot evict pod as it would violate the pod's disruption budget/)
})

t.test('the autoscaler adds replicas under load, up to its limit, and keeps to the budget of a rollout ' +
  'meanwhile', async t => {
  const metrics = await startMetrics(t)
  for (const object of metrics.objects) t.equal(kubectlWith(object, 'apply', '--filename', '-').status, 0)
  metrics.report(async () => list('pods', 'polaris'), { proxy: 700, workload: 20 })
  await until('the metrics are served', async () => {
    const [service] = (JSON.parse(await kubectl('get', 'apiservices', 'v1beta1.metrics.k8s.io', '--output', 'json')) as
      { status?: { conditions?: { type: string, status: string }[] } }).status?.conditions ?? []
    return service?.status === 'True' ? true : undefined
  })
  const { replicas } = await until('the autoscaler has added replicas', async () => {
    const { status } = await deployment('polaris') ?? {}
    return (status?.availableReplicas ?? 0) > 2 ? status : undefined
  })
  t.ok(Number(replicas) > 2 && Number(replicas) <= 10)
  await available('polaris', 10)
})

t.test('replay protection: the store runs, and the proxy may reach it and nothing else but name ' +
  'resolution', async t => {
  const { status, stderr } = await apply('overlays/replay-protection')
  t.equal(status, 0, stderr)
  await available('replay-store', 1)
  await checkTraffic(t, [...TRAFFIC, ...STORE], true)
})

t.test('trying out without a TEE takes another overlay, and the same pods', async t => {
  const { status, stderr } = await apply('overlays/no-tee')
  t.equal(status, 0, stderr)
  const { spec } = await deployment('polaris') ?? {}
  t.notMatch(JSON.stringify(spec), /runtimeClassName/)
  t.match(readFileSync(`${examples}overlays/no-tee/kustomization.yaml`, 'utf8'), /owner\n?#? ?of the node can read/)
})
