// The Helm chart: what it installs is what the kustomization of examples/kubernetes does, and it takes no image without
// its digest. Its parts that need no Helm are checked everywhere, the others where Helm is installed.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { settings } from '../../lib/config/settings.ts'
import { kustomize, readManifests, validateManifest } from '../fixtures/manifests.ts'
import type { Manifest } from '../fixtures/manifests.ts'

const chart = new URL('../../examples/helm/', import.meta.url).pathname
const HELM = process.env['HELM'] ?? 'helm'
const skip = spawnSync(HELM, ['version']).status === 0 ? false : `${HELM} is not installed`

const digest = `sha256:${'0a'.repeat(32)}`
const images = ['proxy', 'workload'].flatMap(name => [
  '--set', `global.azure.images.${name}.registry=registry.example.com/polaris`, '--set', `global.azure.images.${name}.digest=${digest}`
])
const helm = (...words: string[]) => spawnSync(HELM, words, { encoding: 'utf8' })
const template = (...words: string[]) => helm('template', 'polaris', chart, '--namespace', 'polaris', '--kube-version', '1.32.0', ...words)

function render (...words: string[]): Manifest[] {
  const { status, stdout, stderr } = template(...images, ...words)
  if (status !== 0) throw new Error(stderr)
  return readManifests(stdout)
}

const podOf = (manifests: Manifest[] = []) => manifests.find(({ kind }) => kind === 'Deployment')?.spec?.template

t.test('it has the version of the proxy', async t => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
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
  const { status, stdout } = helm('lint', '--strict', chart, ...images)
  t.equal(status, 0, stdout)
  for (const manifest of render()) await t.resolves(validateManifest(manifest), manifest.kind)
})

const built = kustomize(new URL('../../examples/kubernetes/overlays/encrypted', import.meta.url).pathname)
const nothingBuilt = built === undefined && 'neither kubectl nor kustomize is installed'

t.test('it installs what the encrypted kustomization does', { skip: skip || nothingBuilt }, async t => {
  // Labels and images are the chart's own, and the namespace is Helm's business.
  const plain = (manifests: Manifest[]) => manifests.filter(({ kind }) => kind !== 'Namespace').map(manifest => {
    const containers = manifest.spec?.template?.spec.containers ?? []
    for (const container of containers) {
      container.image = ''
      container.env?.sort((a, b) => a.name < b.name ? -1 : 1)
    }
    const { labels: _, namespace: __, ...metadata } = manifest.metadata
    return JSON.parse(JSON.stringify({ ...manifest, metadata }), (key, value: unknown) => key === 'app.kubernetes.io/instance' ? undefined : value) as Manifest
  }).sort((a, b) => a.kind < b.kind ? -1 : 1)
  t.same(plain(render()), plain(built ?? []))
})

t.test('images go by digest, and nothing is installed without', { skip }, async t => {
  t.same(podOf(render())?.spec.containers.map(({ image }) => image),
    ['polaris-secure-proxy', 'polaris-example-workload'].map(name => `registry.example.com/polaris/${name}@${digest}`))
  for (const wrong of [[], [...images, '--set', 'global.azure.images.proxy.digest=latest'], [...images, '--set', 'global.azure.images.workload.registry=']]) {
    t.not(template(...wrong).status, 0, wrong.at(-1) ?? 'no images')
  }
})

t.test('what a cluster, a key type or a marketplace needs can be given, and what does not exist cannot', { skip }, async t => {
  const manifests = render('--set', 'runtimeClassName=kata-cc', '--set', 'podLabels.metering=x', '--set', 'workload.port=8000',
    '--set-string', 'settings.POLARIS_CONTAINER_WORKERS=2', '--set-json', 'egress=[{"to":[{"ipBlock":{"cidr":"169.254.169.254/32"}}]}]')
  for (const manifest of manifests) await t.resolves(validateManifest(manifest), manifest.kind)
  const pod = podOf(manifests)
  t.equal(pod?.spec.runtimeClassName, 'kata-cc')
  t.equal(pod?.metadata.labels['metering'], 'x')
  t.match(pod?.spec.containers[0]?.env, [
    { name: 'POLARIS_CONTAINER_WORKLOAD_BASE_URL', value: 'http://127.0.0.1:8000' }
  ])
  t.ok(pod?.spec.containers[0]?.env?.some(({ name, value }) => name === 'POLARIS_CONTAINER_WORKERS' && value === '2'))
  t.equal(manifests.find(({ kind }) => kind === 'NetworkPolicy')?.spec?.egress?.length, 2)
  for (const wrong of ['replicas=1', 'settings.PATH=/x', 'workload.ports=1']) t.not(template(...images, '--set', wrong).status, 0, wrong)
})
