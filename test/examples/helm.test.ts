// The Helm chart: what it installs is what the kustomization of examples/kubernetes does, and it takes no image without
// its digest, and nothing that protects less than it seems to. Its parts that need no Helm are checked everywhere, the
// others where Helm is installed.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { settings } from '../../lib/config/settings.ts'
import { kustomize, readManifests, validateManifest } from '../fixtures/manifests.ts'
import type { Manifest, PodSpec } from '../fixtures/manifests.ts'

const chart = new URL('../../examples/helm/', import.meta.url).pathname
const HELM = process.env['HELM'] ?? 'helm'
const skip = spawnSync(HELM, ['version']).status === 0 ? false : `${HELM} is not installed`

const digest = `sha256:${'0a'.repeat(32)}`
const images = ['proxy', 'workload'].flatMap(name => [
  '--set', `global.azure.images.${name}.registry=registry.example.com/polaris`, '--set',
  `global.azure.images.${name}.digest=${digest}`
])
/** What has to be given, at least. */
const needed = [...images, '--set', 'runtimeClassName=kata-cc']
const helm = (...words: string[]) => spawnSync(HELM, words, { encoding: 'utf8' })
const template = (...words: string[]) => helm(
  'template', 'polaris', chart, '--namespace', 'polaris', '--kube-version', '1.32.0', ...words
)

function render (...words: string[]): Manifest[] {
  const { status, stdout, stderr } = template(...needed, ...words)
  if (status !== 0) throw new Error(stderr)
  return readManifests(stdout)
}

const podOf = (manifests: Manifest[] = []) => manifests.find(({ kind }) => kind === 'Deployment')?.spec?.template

t.test('it has the version of the proxy', async t => {
  const { version } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  ) as { version: string }
  t.match(parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8')), { version, appVersion: version })
})

t.test('its settings exist, and it names no image by default', async t => {
  const values = parse(readFileSync(join(chart, 'values.yaml'), 'utf8')) as
    { settings: object, global: { azure: { images: Record<string, { digest: string }> } } }
  const known = new Set<string>(Object.values(settings).map(({ env }) => env))
  t.same(Object.keys(values.settings).filter(name => !known.has(name)), [])
  t.same(Object.values(values.global.azure.images).map(({ digest }) => digest), ['', ''])
})

t.test('Helm finds nothing wrong with it', { skip }, async t => {
  const { status, stdout } = helm('lint', '--strict', chart, ...needed)
  t.equal(status, 0, stdout)
  for (const manifest of render()) await t.resolves(validateManifest(manifest), manifest.kind)
})

const built = kustomize(new URL('../../examples/kubernetes/base', import.meta.url).pathname)
const nothingBuilt = built === undefined && 'neither kubectl nor kustomize is installed'

t.test('it installs what the kustomization does', { skip: skip || nothingBuilt }, async t => {
  // Labels and images are the chart's own, and the namespace is Helm's business.
  const plain = (manifests: Manifest[]) => manifests.filter(({ kind }) => kind !== 'Namespace').map(manifest => {
    const { initContainers = [], containers = [] } = manifest.spec?.template?.spec ?? {}
    for (const container of [...initContainers, ...containers]) {
      container.image = ''
      container.env?.sort((a, b) => a.name < b.name ? -1 : 1)
    }
    const { labels: _, namespace: __, ...metadata } = manifest.metadata
    return JSON.parse(
      JSON.stringify({ ...manifest, metadata }),
      (key, value: unknown) => key === 'app.kubernetes.io/instance' ? undefined : value
    ) as Manifest
  }).sort((a, b) => a.kind < b.kind ? -1 : 1)
  t.same(plain(render()), plain(built ?? []))
})

t.test('images go by digest, and nothing is installed without', { skip }, async t => {
  const { initContainers = [], containers = [] } = podOf(render())?.spec ?? {}
  t.same([...containers, ...initContainers].map(({ image }) => image),
    ['polaris-secure-proxy', 'polaris-example-workload'].map(name => `registry.example.com/polaris/${name}@${digest}`))
  for (const wrong of [
    ['--set', 'runtimeClassName=kata-cc'], [...needed, '--set', 'global.azure.images.proxy.digest=latest'],
    [...needed, '--set', 'global.azure.images.workload.registry=']
  ]) {
    t.not(template(...wrong).status, 0, wrong.at(-1) ?? 'no images')
  }
})

t.test('what a cluster, a key type or a marketplace needs can be given, and what does not exist cannot', {
  skip
}, async t => {
  const manifests =
    render('--set', 'runtimeClassName=kata-qemu-snp', '--set', 'podLabels.metering=x', '--set', 'workload.port=8000',
      '--set-string', 'settings.POLARIS_CONTAINER_WORKERS=2', '--set-json',
      'egress=[{"to":[{"ipBlock":{"cidr":"169.254.169.254/32"}}]}]')
  for (const manifest of manifests) await t.resolves(validateManifest(manifest), manifest.kind)
  const pod = podOf(manifests)
  t.equal(pod?.spec.runtimeClassName, 'kata-qemu-snp')
  t.equal(pod?.metadata.labels['metering'], 'x')
  t.match(pod?.spec.containers[0]?.env, [
    { name: 'POLARIS_CONTAINER_WORKLOAD_BASE_URL', value: 'http://127.0.0.1:8000' }
  ])
  t.ok(pod?.spec.containers[0]?.env?.some(({ name, value }) => name === 'POLARIS_CONTAINER_WORKERS' && value === '2'))
  t.equal(manifests.find(({ kind }) => kind === 'NetworkPolicy')?.spec?.egress?.length, 2)
  for (const wrong of ['replicas=1', 'settings.PATH=/x', 'workload.ports=1']) {
    t.not(template(...needed, '--set', wrong).status, 0, wrong)
  }
})

const derived = ['--set', 'settings.POLARIS_CONTAINER_KEY_TYPE=azure-skr,settings.POLARIS_CONTAINER_HPKE_SEED=derived']
const REFUSED = [
  ['no TEE', [], /runtimeClassName is empty/, ['accept.noTee=true']],
  ['requests that are not encrypted', [
    '--set', 'runtimeClassName=a', '--set-string', 'settings.POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION=false'
  ],
  /ENABLE_INPUT_ENCRYPTION is not 'true'/, ['accept.unencrypted=true']],
  ['responses that are not encrypted', [
    '--set', 'runtimeClassName=a,settings.POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION=null'
  ],
  /ENABLE_OUTPUT_ENCRYPTION is not 'true'/, ['accept.unencrypted=true']],
  ['replicas that share their keys and no replay store', ['--set', 'runtimeClassName=a', ...derived], /REPLAY_STORE/,
    [
      'accept.replays=true', 'settings.POLARIS_CONTAINER_REPLAY_STORE=rediss://store:6380',
      'autoscaling.minReplicas=1,autoscaling.maxReplicas=1'
    ]],
  ['fewer replicas at most than at least', [
    '--set', 'runtimeClassName=a,autoscaling.minReplicas=11'
  ], /minReplicas is more/,
  ['autoscaling.maxReplicas=12']]
] as const

for (const [what, words, message, remedies] of REFUSED) {
  t.test(`the chart refuses ${what}, says what to do, and installs when that is done`, { skip }, async t => {
    const { status, stderr } = template(...images, ...words)
    t.not(status, 0)
    t.match(stderr, message)
    for (const remedy of remedies) t.equal(template(...images, ...words, '--set', remedy).status, 0, remedy)
  })
}

t.test('a client stays with the replica whose keys it has, unless replicas share them', { skip }, async t => {
  const affinity = (...words: string[]) =>
    render(...words).find(({ kind }) => kind === 'Service')?.spec?.sessionAffinity
  t.equal(affinity(), 'ClientIP')
  t.equal(affinity(...derived, '--set', 'accept.replays=true'), undefined)
})

const policy = '{"version":1,"platforms":{"sev-snp":{}}}\n'
const client = [
  '--set',
  `client.url=https://proxy.example.com/ai,client.image.registry=registry.example.com,client.image.digest=${digest}`
]

t.test('a workload that calls another confidential service gets the local proxy of examples/local-proxy beside it', {
  skip
}, async t => {
  const file = join(t.testdir({ 'policy.json': policy }), 'policy.json')
  const manifests = render(...client, '--set-file', `client.policy=${file}`)
  for (const manifest of manifests) await t.resolves(validateManifest(manifest), manifest.kind)
  const pod = podOf(manifests)
  const [example] = readManifests(readFileSync(new URL('../../examples/local-proxy/pod.yaml', import.meta.url), 'utf8'))
  const [sidecar] = (example?.spec as PodSpec | undefined)?.initContainers ?? []
  t.same(
    pod?.spec.initContainers?.map(({ name }) => name), ['polaris', 'workload'],
    'it starts before the workload, and ends after it'
  )
  t.same(pod?.spec.initContainers?.[0], {
    ...sidecar,
    image: `registry.example.com/polaris-client@${digest}`,
    args: sidecar?.args?.map(word => word.startsWith('https:') ? 'https://proxy.example.com/ai' : word),
    volumeMounts: [{ name: 'client-policy', mountPath: '/policy', readOnly: true }]
  })
  const map = manifests.find(({ kind }) => kind === 'ConfigMap')
  t.same(map?.data, { 'policy.json': policy })
  t.same(pod?.spec.volumes, [{ name: 'client-policy', configMap: { name: map?.metadata.name } }])
  const annotations = (text: string) => podOf(render(...client, '--set', `client.policy=${text}`))?.metadata.annotations
  t.notSame(annotations('x1'), annotations('x2'), 'another policy replaces the pods')
})

t.test('without a policy, a digest or sidecars there is none; and without a URL nothing of it', { skip }, async t => {
  const all = [...needed, ...client, '--set', 'client.policy=policy']
  t.equal(template(...all).status, 0)
  for (const wrong of [
    'client.policy=', 'client.image.digest=latest', 'client.image.registry=', 'client.url=proxy.example.com',
    'client.urls=x'
  ]) {
    t.not(template(...all, '--set', wrong).status, 0, wrong)
  }
  t.match(template(...all, '--kube-version', '1.28.0').stderr, /requires kubeVersion: >=1\.29/)
  t.same(render('--set', 'client.policy=policy').filter(({ kind }) => kind === 'ConfigMap'), [])
})
