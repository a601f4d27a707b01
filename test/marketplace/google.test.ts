// What the Google Cloud Marketplace is given: schema.yaml by its specification, every property to a value of the chart
// and back, images by digest, and a tester that passes against what the schema's defaults install.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { settings } from '../../lib/config/settings.ts'
import { DIGEST, IMAGES, assemble, defaultAnswers, readSchema, unpackChart } from '../fixtures/marketplace.ts'
import { readManifests, validateManifest } from '../fixtures/manifests.ts'
import type { Manifest } from '../fixtures/manifests.ts'
import { root, runScript } from '../fixtures/script.ts'

const { parse: parseHcl } = createRequire(import.meta.url)('@cdktf/hcl2json') as {
  parse (name: string, hcl: string): Promise<Record<string, Record<string, Record<string, unknown>[]>>>
}
const HELM = process.env['HELM'] ?? 'helm'
const skip = spawnSync(HELM, ['version']).status === 0 ? false : `${HELM} is not installed`

const directory = assemble(t, 'google')
const schema = readSchema(directory)
const chart = unpackChart(directory, t.testdir())
const values = parse(readFileSync(join(chart, 'values.yaml'), 'utf8')) as Record<string, unknown>
const inner = parse(
  readFileSync(join(chart, 'charts/polaris-secure-proxy/values.yaml'), 'utf8')
) as Record<string, unknown>

const at = (path: string, tree: unknown) => path.split('.').reduce<unknown>(
  (node, key) => (node as Record<string, unknown> | undefined)?.[key], tree
)
const SUBCHART = 'polaris-secure-proxy.'

t.test('the schema is of version 2, of this version of the proxy, and has what is required', async t => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  const about = schema['x-google-marketplace']
  t.match(about, { schemaVersion: 'v2', applicationApiVersion: 'v1beta1', publishedVersion: version })
  t.same(
    about.publishedVersionMetadata.releaseTypes.filter(type => !['Feature', 'BugFix', 'Security'].includes(type)), []
  )
  t.ok(about.clusterConstraints.assistedClusterCreation.type !== 'DISABLED' ||
    about.clusterConstraints.assistedClusterCreation.creationGuidance.length > 0)
  const types = Object.values(schema.properties).flatMap(property => property['x-google-marketplace']?.type ?? [])
  t.same(types.sort(), ['NAME', 'NAMESPACE'])
  t.same(schema.required.filter(name => schema.properties[name] === undefined), [])
})

t.test('every property has a form that the console can show, and a default that is valid', async t => {
  for (const [name, property] of Object.entries(schema.properties)) {
    t.ok(['string', 'integer', 'boolean'].includes(property.type), name)
    const unknown = Object.keys(property).filter(member => ![
      'type', 'title', 'description', 'default', 'enum', 'pattern', 'minimum', 'maximum', 'maxLength',
      'x-google-marketplace'
    ].includes(member))
    t.same(unknown, [], name)
    if (property['x-google-marketplace'] !== undefined) continue
    t.type(property.title, 'string', name)
    t.type(property.default, property.type === 'integer' ? 'number' : property.type, `${name} has a default`)
    if (property.pattern !== undefined) t.match(String(property.default), new RegExp(property.pattern))
    if (property.enum !== undefined) t.ok(property.enum.includes(property.default), name)
    if (property.minimum !== undefined) {
      t.ok(Number(property.default) >= property.minimum && Number(property.default) <= Number(property.maximum), name)
    }
  }
})

t.test('every property is a value of the chart, and nothing that is less than strict can be asked for', async t => {
  const known = new Set<string>(Object.values(settings).map(({ env }) => env))
  for (const name of Object.keys(schema.properties).filter(
    name => schema.properties[name]?.['x-google-marketplace'] === undefined
  )) {
    t.ok(name.startsWith(SUBCHART), name)
    const path = name.slice(SUBCHART.length)
    if (path.startsWith('settings.')) t.ok(known.has(path.slice('settings.'.length)), path)
    else t.not(at(path, inner), undefined, path)
    t.notMatch(path, /^accept|ENCRYPTION|TRUST|KEY|REPLAY/)
  }
})

t.test('every image of the chart is declared, and each that is declared is used, by digest', async t => {
  const declared = Object.entries(schema['x-google-marketplace'].images)
  t.same(declared.map(([name]) => name), ['', 'workload', 'tester'])
  const properties = declared.flatMap(([, { properties }]) => Object.entries(properties))
  for (const [name, { type }] of properties) {
    t.ok(['FULL', 'REGISTRY', 'REPO_WITH_REGISTRY', 'REPO_WITHOUT_REGISTRY', 'TAG'].includes(type), type)
    t.type(at(name, values), 'string', name)
  }
  t.equal(properties.some(([, { type }]) => type === 'TAG' || type === 'FULL'), false, 'a tag can be moved')
  for (const name of ['global.azure.images.proxy', 'global.azure.images.workload', 'tester']) {
    t.equal(at(`${name}.digest`, values), DIGEST)
  }
})

t.test('the same arguments give the same bytes', async t => {
  const again = assemble(t, 'google')
  t.same(readdirSync(again).sort(), readdirSync(directory).sort())
  for (const file of readdirSync(again)) {
    t.ok(readFileSync(join(again, file)).equals(readFileSync(join(directory, file))), file)
  }
})

function render (): Manifest[] {
  const { status, stdout, stderr } = spawnSync(HELM, [
    'template', 'polaris', chart, '--namespace', 'polaris', '--kube-version', '1.32.0',
    ...defaultAnswers(schema, ['marketplace.example.com', 'example/polaris'])
  ], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return readManifests(stdout)
}

t.test('what the schema\'s defaults install is valid, strict, and tied together by an Application', {
  skip
}, async t => {
  const manifests = render()
  const [application] = manifests.filter(({ kind }) => kind === 'Application') as unknown as [{
    metadata: { annotations: Record<string, string> },
    spec: { selector: { matchLabels: object }, componentKinds: { group: string, kind: string }[] }
  }]
  for (const manifest of manifests.filter(({ kind }) => kind !== 'Application')) {
    await t.resolves(validateManifest(manifest), manifest.kind)
  }
  t.same(
    JSON.parse(application.metadata.annotations['marketplace.cloud.google.com/deploy-info'] ?? ''),
    { partner_id: 'partner', product_id: 'product', partner_name: 'Example' }
  )
  const kinds = new Set(application.spec.componentKinds.map(({ group, kind }) => `${group}/${kind}`))
  const installed = manifests.filter(({ kind }) => !['Application', 'Pod'].includes(kind)).map(
    ({ apiVersion, kind }) => `${apiVersion.includes('/') ? apiVersion.split('/')[0] : ''}/${kind}`
  )
  t.same([...kinds].sort(), [...new Set(installed)].sort())
  const pod = manifests.find(({ kind }) => kind === 'Deployment')?.spec?.template
  t.equal(pod?.spec.runtimeClassName, 'kata-cc')
  t.same(
    [...pod?.spec.containers ?? [], ...pod?.spec.initContainers ?? []].map(({ image }) => image),
    [`marketplace.example.com/example/polaris@${DIGEST}`, `marketplace.example.com/example/polaris/workload@${DIGEST}`]
  )
  t.match(pod?.metadata.labels, { 'goog-partner-id': 'partner' })
  t.equal(manifests.filter(
    ({ kind }) => ['ServiceAccount', 'Role', 'RoleBinding', 'ClusterRole', 'Secret'].includes(kind)
  ).length, 0, 'no rights of its own')
})

t.test('the deployer may do what the chart needs, and no more', { skip }, async t => {
  const roles = at(
    'x-google-marketplace.deployerServiceAccount.roles', schema
  ) as { type: string, rules: { apiGroups: string[], resources: string[] }[] }[]
  t.same(roles.map(({ type }) => type), ['Role'])
  const allowed = roles.flatMap(({ rules }) => rules.flatMap(
    ({ apiGroups, resources }) => apiGroups.flatMap(group => resources.map(resource => `${group}/${resource}`))
  ))
  const needed = render().map(({ apiVersion, kind }) => `${apiVersion.includes('/')
    ? apiVersion.split('/')[0]
    : ''}/${kind.toLowerCase().replace(/y$/, 'ie')}s`)
  t.same([...new Set([...needed, '/pods/log'])].sort(), allowed.sort())
})

t.test('the tester passes against the proxy as the defaults configure it, and fails where encryption is not required', {
  skip
}, async t => {
  const manifests = render()
  const pod = manifests.find(({ kind }) => kind === 'Deployment')?.spec?.template?.spec
  const containers = [...pod?.containers ?? [], ...pod?.initContainers ?? []]
  const envOf = (name: string) => Object.fromEntries(
    containers.find(container => container.name === name)?.env?.map(({ name, value = '' }) => [name, value]) ?? []
  )
  const [tester] = (manifests.find(({ kind }) => kind === 'Pod') as unknown as {
    spec: { containers: [{ image: string, env: { name: string, value: string }[] }] }
  }).spec.containers
  t.equal(tester.image, `marketplace.example.com/example/polaris/tester@${DIGEST}`)
  const testerEnv = Object.fromEntries(tester.env.map(({ name, value }) => [name, value]))
  t.equal(testerEnv['PROXY_URL'], 'http://polaris', 'the Service')

  const workload = runScript(t, ['examples/workload/server.mjs'], { ...envOf('workload'), PORT: '0' })
  const [, workloadUrl] = await workload.seen(/listening on (http:\S+)/)
  for (const [settings, code] of [[{}, 0], [{ POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'false' }, 1]] as const) {
    const proxy = runScript(
      t, ['server.ts'],
      { ...envOf('proxy'), HOST: '127.0.0.1', PORT: '0', POLARIS_CONTAINER_WORKLOAD_BASE_URL: workloadUrl, ...settings }
    )
    const [, url] = await proxy.seen(/listening at (http:[^"]+)/)
    const run = runScript(
      t, ['marketplace/google/tester/tester.mjs'], { ...testerEnv, PROXY_URL: url, SDK: '@polaris-secure-proxy/sdk' }
    )
    t.equal(await run.ended, code, run.output())
    if (code === 0) t.match(run.output(), /^encrypted: 404\nunencrypted: 400 \S+encryption-required$/m)
  }
})

t.test('the listing of the VM: every variable of the module is in its metadata, and the other way round', async t => {
  const vm = assemble(t, 'google-vm')
  const hcl = async (file: string) => parseHcl(file, readFileSync(join(vm, file), 'utf8'))
  const { variable = {} } = await hcl('variables.tf')
  const { output = {} } = await hcl('outputs.tf')
  const metadata = parse(readFileSync(join(vm, 'metadata.yaml'), 'utf8')) as {
    apiVersion: string,
    kind: string,
    spec: {
      info: { version: string },
      interfaces: {
        variables: { name: string, varType: string, description: string, defaultValue?: unknown, required?: boolean }[],
        outputs: { name: string }[]
      },
      requirements: { services: string[] }
    }
  }
  const display = parse(readFileSync(join(vm, 'metadata.display.yaml'), 'utf8')) as
    {
      spec: {
        ui: {
          input: {
            variables: Record<string, { name: string, title: string, section?: string, invisible?: boolean }>,
            sections: { name: string }[]
          },
          runtime: { outputs: object }
        }
      }
    }
  t.match(metadata, { apiVersion: 'blueprints.cloud.google.com/v1alpha1', kind: 'BlueprintMetadata' })
  const declared = Object.keys(variable).sort()
  t.same(metadata.spec.interfaces.variables.map(({ name }) => name).sort(), declared)
  t.same(Object.keys(display.spec.ui.input.variables).sort(), declared)
  t.same(metadata.spec.interfaces.outputs.map(({ name }) => name).sort(), Object.keys(output).sort())
  t.same(Object.keys(display.spec.ui.runtime.outputs).sort(), Object.keys(output).sort())
  for (const {
    name, varType, description, defaultValue = null, required = false
  } of metadata.spec.interfaces.variables) {
    const [{ type, description: described, default: value = null } = {}] = variable[name] ?? []
    t.same(
      [`\${${varType}}`, description, defaultValue, required],
      [type, described, value, !Object.hasOwn(variable[name]?.[0] ?? {}, 'default')], name
    )
    const { section, title } = display.spec.ui.input.variables[name] ?? {}
    t.type(title, 'string')
    if (section !== undefined) t.ok(display.spec.ui.input.sections.some(each => each.name === section), section)
  }
  // The module beside it: it is given variables that it has, and the image that was reviewed.
  const main = readFileSync(join(vm, 'main.tf'), 'utf8')
  const inner = await hcl('polaris/variables.tf')
  const passed = [...main.matchAll(/^ {2}(\w+) += (?:var\.|\{)/gm)].map(([, name = '']) => name)
  t.same(passed.filter(name => inner['variable']?.[name] === undefined), [])
  t.same(
    Object.keys(inner['variable'] ?? {}).filter(name => !passed.includes(name)), ['key_versions', 'workload_base_url'],
    'the others have defaults that the image was made for'
  )
  const [repository, digest] = IMAGES.image.split('@')
  t.match(variable, { image: [{ default: repository }], image_digest: [{ default: digest }] })
  const services = /google_project_service" "this" \{\s+for_each = toset\(\[([^\]]*)\]/.exec(
    readFileSync(join(vm, 'polaris/main.tf'), 'utf8')
  )?.[1] ?? ''
  t.same(metadata.spec.requirements.services, services.match(/[\w.]+googleapis\.com/g))
  t.ok(existsSync(join(vm, 'polaris/outputs.tf')))
})
