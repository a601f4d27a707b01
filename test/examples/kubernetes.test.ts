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
  await t.rejects(validate({
    apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: { ports: [{ port: '80' }] }
  } as unknown as Manifest),
  'and the validator would have noticed')
})

t.test('every file is a resource or a patch of exactly the kustomizations that should have it', async t => {
  const listed = files.filter(file => file.endsWith('kustomization.yaml')).flatMap(file => {
    const { resources = [], patches = [] } = parseAllDocuments(readFileSync(join(root, file), 'utf8'))[0]?.toJS() as
      { resources?: string[], patches?: { path: string }[] }
    return [...resources, ...patches.map(({ path }) => path)].map(path => join(file, '..', path))
  })
  t.same(
    listed.filter(path => path.endsWith('.yaml')).sort(), files.filter(file => !file.endsWith('kustomization.yaml'))
  )
})

t.test('every container runs unprivileged, on a read-only root, within a memory limit', async t => {
  const pods = complete.flatMap(file => read(readFileSync(join(root, file), 'utf8')))
    .flatMap(({ spec }) => spec?.template === undefined ? [] : [spec.template.spec])
  t.equal(pods.length, 2)
  for (const { securityContext, automountServiceAccountToken, initContainers = [], containers } of pods) {
    t.match(securityContext, { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } })
    t.equal(automountServiceAccountToken, false)
    for (const container of [...initContainers, ...containers]) {
      t.same(
        container.securityContext,
        { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
        container.name
      )
      t.type(container.resources?.limits?.['memory'], 'string', container.name)
    }
  }
})

t.test('the workload listens where only the proxy reaches it, and the policy lets nobody else in', async t => {
  const [deployment] = read(readFileSync(join(root, 'base/deployment.yaml'), 'utf8'))
  const [policy] = read(readFileSync(join(root, 'base/network-policy.yaml'), 'utf8'))
  const workload = deployment?.spec?.template?.spec.initContainers?.find(({ name }) => name === 'workload')
  t.match(workload?.env, [{ name: 'HOST', value: '127.0.0.1' }, { name: 'PORT', value: '3001' }])
  t.same(policy?.spec?.ingress, [{ ports: [{ protocol: 'TCP', port: 3000 }] }])
})

t.test('the workload is a sidecar, so that it is stopped only when the proxy has ended, within the time that the pod ' +
  'has for it', async t => {
  const [deployment] = read(readFileSync(join(root, 'base/deployment.yaml'), 'utf8'))
  const { initContainers, containers, terminationGracePeriodSeconds = 0 } = deployment?.spec?.template?.spec ?? {}
  t.match(initContainers, [{ name: 'workload', restartPolicy: 'Always' }])
  t.same(containers?.map(({ name }) => name), ['proxy'])
  const stopDelay = parseInt(
    containers?.[0]?.env?.find(({ name }) => name === 'POLARIS_CONTAINER_STOP_DELAY')?.value ?? ''
  )
  t.ok(stopDelay > 0, 'endpoints learn later than the pod that it stops')
  const longest = stopDelay + parseInt(settings.stopTimeout.default)
  t.ok(longest < terminationGracePeriodSeconds)
})

t.test('for podman, which stops all containers at the same time, the workload goes on for as long as the proxy may', {
  skip: kustomize(root + 'base') === undefined && 'neither kubectl nor kustomize is installed'
}, async t => {
  const pod = kustomize(join(root, 'overlays/podman'))?.find(({ kind }) => kind === 'Deployment')?.spec?.template?.spec
  t.same([pod?.initContainers, pod?.containers.map(({ name }) => name)], [undefined, ['proxy', 'workload']])
  const env = new Map(pod?.containers.flatMap(({ env = [] }) => env.map(({ name, value }) => [name, value])))
  t.equal(
    Number(env.get('STOP_DELAY')),
    parseInt(env.get('POLARIS_CONTAINER_STOP_DELAY') ?? '') + parseInt(settings.stopTimeout.default)
  )
})

t.test('the proxy is given only settings that exist', async t => {
  const known = new Set<string>(Object.values(settings).map(({ env }) => env))
  for (const file of files) {
    const names = readFileSync(join(root, file), 'utf8').match(/\bPOLARIS_CONTAINER_\w+/g) ?? []
    t.same(names.filter(name => !known.has(name)), [], file)
  }
})

for (const overlay of [
  'base', 'overlays/encrypted', 'overlays/no-tee', 'overlays/podman', 'overlays/replay-protection'
]) {
  const built = kustomize(join(root, overlay))
  t.test(`kustomize builds ${overlay} into valid manifests`, {
    skip: built === undefined && 'neither kubectl nor kustomize is installed'
  }, async t => {
    for (const manifest of built ?? []) {
      await t.resolves(validate(manifest), `${manifest.kind} ${manifest.metadata.name}`)
      t.equal(manifest.metadata.namespace, manifest.kind === 'Namespace' ? undefined : 'polaris')
    }
    const pod = built?.find(
      ({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'polaris'
    )?.spec?.template?.spec
    const proxy = pod?.containers.find(({ name }) => name === 'proxy')
    const env = new Map(proxy?.env?.map(({ name, value }) => [name, value]))
    t.equal(
      env.get('POLARIS_CONTAINER_WORKLOAD_BASE_URL'), 'http://127.0.0.1:3001',
      'patches leave the base\'s settings alone'
    )
    t.equal(env.get('POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION'), 'true')
    t.equal(env.get('POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION'), 'true')
    t.equal(
      pod?.runtimeClassName, ['overlays/no-tee', 'overlays/podman'].includes(overlay) ? undefined : 'kata-cc',
      'a TEE, unless the overlay is called otherwise'
    )
    t.equal(
      env.get('POLARIS_CONTAINER_REPLAY_STORE'),
      overlay === 'overlays/replay-protection' ? 'redis://replay-store:6379' : undefined
    )
  })
}
