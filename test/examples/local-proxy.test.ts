// The local proxy beside a program, in a pod and in a compose file: both are valid, say what the other says, and
// protect as much.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { proxyCommand } from '../../sdk/proxy/command.ts'
import { readManifests, validateManifest } from '../fixtures/manifests.ts'
import type { Manifest, PodSpec } from '../fixtures/manifests.ts'

const read = (file: string) => readFileSync(new URL(`../../examples/local-proxy/${file}`, import.meta.url), 'utf8')

interface Service {
  image: string
  command?: string[]
  environment?: Record<string, string>
  user?: string
  read_only?: boolean
  cap_drop?: string[]
  security_opt?: string[]
  networks?: string[]
  network_mode?: string
  ports?: string[]
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { test: string[] }
}

const [pod] = readManifests(read('pod.yaml')) as [Manifest]
const spec = pod.spec as unknown as PodSpec
const sidecar = spec.initContainers![0]!
const { services } = parse(read('compose.yaml')) as { services: Record<'polaris' | 'program', Service> }
const { polaris, program } = services
const policyFile = (args: readonly string[] = []) => args[args.indexOf('--policy') + 1] ?? ''

t.test('the pod is valid against the schema of its kind', async t => {
  await t.resolves(validateManifest(pod))
  t.match(spec, {
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } }
  })
  for (const container of [sidecar, ...spec.containers]) {
    t.same(
      container.securityContext,
      { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } }, container.name
    )
    t.type(container.resources?.limits?.['memory'], 'string', container.name)
  }
})

t.test('the local proxy starts before the program and ends after it', async t => {
  t.equal(sidecar.restartPolicy, 'Always', 'a sidecar, not something that has to end')
  t.match(program.depends_on, { polaris: { condition: 'service_healthy' } })
})

t.test('both have the options of a command that takes them, a policy, and no address that others reach', async t => {
  const known = new Set(proxyCommand().options.flatMap(({ short, long }) => [short, long]))
  for (const args of [sidecar.args ?? [], polaris.command ?? []]) {
    t.equal(args[0], 'proxy')
    t.same(args.filter(word => word.startsWith('-') && !known.has(word)), [])
    t.notOk(args.some(word => /^--(?:listen|allow-remote|insecure|development)$/.test(word)))
    t.match(policyFile(args), /^\/.*policy\.json$/)
  }
  t.same(sidecar.args?.slice(2).map(word => word.replace('/policy/', '/')), polaris.command?.slice(2))
  const mounted = sidecar.volumeMounts?.find(({ mountPath }) => policyFile(sidecar.args).startsWith(mountPath))
  t.ok(mounted?.readOnly)
  t.ok(spec.volumes?.some(({ name, configMap }) => name === mounted?.name && configMap !== undefined))
})

t.test('the program is told the address, and shares the network in which it is', async t => {
  const base = 'http://127.0.0.1:8787/v1'
  t.same(spec.containers[0]?.env, [{ name: 'OPENAI_BASE_URL', value: base }])
  t.match(program, { environment: { OPENAI_BASE_URL: base }, network_mode: 'service:polaris', ports: undefined })
  t.match(polaris, {
    ports: undefined, user: '65532:65532', read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true']
  })
  const probe = (sidecar as unknown as { startupProbe: { exec: { command: string[] } } }).startupProbe.exec.command
  t.same(probe, polaris.healthcheck?.test.slice(1), 'and both ask for the same')
})
