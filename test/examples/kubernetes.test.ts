// The manifests against the schemas of Kubernetes' own API, and against what they promise. No cluster is needed.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import { settings } from '../../lib/config/settings.ts'
import { kustomize, readManifests as read, validateManifest as validate } from '../fixtures/manifests.ts'
import type { Manifest } from '../fixtures/manifests.ts'

const root = new URL('../../examples/kubernetes/', import.meta.url).pathname

const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.yaml')).sort()
const complete = files.filter(file => file.startsWith('base/') || file.endsWith('store.yaml'))
  .filter(file => !file.endsWith('kustomization.yaml') && !file.endsWith('replay-store.yaml'))

t.test('every manifest is valid against the schema of its kind', async t => {
  t.ok(complete.length >= 7)
  for (const file of complete) {
    for (const manifest of read(readFileSync(join(root, file), 'utf8'))) {
      await t.resolves(validate(manifest), `${file}: ${manifest.kind}`)
    }
  }
  await t.rejects(validate({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: { ports: [{ port: '80' }] } } as unknown as Manifest),
    'and the validator would have noticed')
})

t.test('every file is a resource or a patch of exactly the kustomizations that should have it', async t => {
  const listed = files.filter(file => file.endsWith('kustomization.yaml')).flatMap(file => {
    const { resources = [], patches = [] } = parseAllDocuments(readFileSync(join(root, file), 'utf8'))[0]?.toJS() as
      { resources?: string[], patches?: { path: string }[] }
    return [...resources, ...patches.map(({ path }) => path)].map(path => join(file, '..', path))
  })
  t.same(listed.filter(path => path.endsWith('.yaml')).sort(), files.filter(file => !file.endsWith('kustomization.yaml')))
})

t.test('every container runs unprivileged, on a read-only root, within a memory limit', async t => {
  const pods = complete.flatMap(file => read(readFileSync(join(root, file), 'utf8')))
    .flatMap(({ spec }) => spec?.template === undefined ? [] : [spec.template.spec])
  t.equal(pods.length, 2)
  for (const { securityContext, automountServiceAccountToken, containers } of pods) {
    t.match(securityContext, { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } })
    t.equal(automountServiceAccountToken, false)
    for (const container of containers) {
      t.same(container.securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } }, container.name)
      t.type(container.resources?.limits?.['memory'], 'string', container.name)
    }
  }
})

t.test('the workload listens where only the proxy reaches it, and the policy lets nobody else in', async t => {
  const [deployment] = read(readFileSync(join(root, 'base/deployment.yaml'), 'utf8'))
  const [policy] = read(readFileSync(join(root, 'base/network-policy.yaml'), 'utf8'))
  const workload = deployment?.spec?.template?.spec.containers.find(({ name }) => name === 'workload')
  t.match(workload?.env, [{ name: 'HOST', value: '127.0.0.1' }, { name: 'PORT', value: '3001' }])
  t.same(policy?.spec?.ingress, [{ ports: [{ protocol: 'TCP', port: 3000 }] }])
})

t.test('the proxy is given only settings that exist', async t => {
  const known = new Set<string>(Object.values(settings).map(({ env }) => env))
  for (const file of files) {
    const names = readFileSync(join(root, file), 'utf8').match(/\bPOLARIS_CONTAINER_\w+/g) ?? []
    t.same(names.filter(name => !known.has(name)), [], file)
  }
})

for (const overlay of ['base', 'overlays/encrypted', 'overlays/no-tee', 'overlays/replay-protection']) {
  const built = kustomize(join(root, overlay))
  t.test(`kustomize builds ${overlay} into valid manifests`, { skip: built === undefined && 'neither kubectl nor kustomize is installed' }, async t => {
    for (const manifest of built ?? []) {
      await t.resolves(validate(manifest), `${manifest.kind} ${manifest.metadata.name}`)
      t.equal(manifest.metadata.namespace, manifest.kind === 'Namespace' ? undefined : 'polaris')
    }
    const pod = built?.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'polaris')?.spec?.template?.spec
    const proxy = pod?.containers.find(({ name }) => name === 'proxy')
    const env = new Map(proxy?.env?.map(({ name, value }) => [name, value]))
    t.equal(env.get('POLARIS_CONTAINER_WORKLOAD_BASE_URL'), 'http://127.0.0.1:3001', 'patches leave the base\'s settings alone')
    t.equal(env.get('POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION'), 'true')
    t.equal(env.get('POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION'), 'true')
    t.equal(pod?.runtimeClassName, overlay === 'overlays/no-tee' ? undefined : 'kata-cc', 'a TEE, unless the overlay is called otherwise')
    t.equal(env.get('POLARIS_CONTAINER_REPLAY_STORE'), overlay === 'overlays/replay-protection' ? 'redis://replay-store:6379' : undefined)
  })
}
