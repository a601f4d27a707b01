// What the Azure Marketplace is given: templates and forms by its own rules, every question to a parameter, every
// parameter to a value of the chart, and the strict mode by default.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { settings } from '../../lib/config/settings.ts'
import { armFaults, formFaults } from '../fixtures/arm.ts'
import type { Form, Template } from '../fixtures/arm.ts'
import { IMAGES, assemble } from '../fixtures/marketplace.ts'
import { root, runScript } from '../fixtures/script.ts'

const json = <T>(path: string) => JSON.parse(readFileSync(path, 'utf8')) as T

const aks = assemble(t, 'azure-aks')
const aci = assemble(t, 'azure-aci')

for (const directory of [aks, aci]) {
  const offer = directory === aks ? 'the Kubernetes application' : 'the container group'
  const template = json<Template>(join(directory, 'mainTemplate.json'))
  const form = json<Form>(join(directory, 'createUiDefinition.json'))

  t.test(`${offer}: template and form break no rule of the marketplace`, async t => {
    t.same(armFaults(template), [])
    t.same(formFaults(form, template), [])
  })

  t.test(`${offer}: nothing in it makes anything less than strict`, async t => {
    t.notMatch(
      JSON.stringify([template, form]), /accept\.|noTee|ENCRYPTION[^}]*"false"|ALLOW_SIMULATED|debug-mode|allow_all/
    )
  })
}

const FAULTS = [
  ['"location": "[parameters(\'location\')]"', '"location": "westeurope"', /has a location of its own/],
  ['"[resourceGroup().location]"', '"westeurope"', /location has another default/],
  ['"2025-09-01"', '"2019-12-01"', /version of the API is old/],
  ['"2025-09-01"', '"2025-09-01-preview"', /is a preview/],
  [
    '"parameters": {', '"parameters": { "unused": { "type": "string", "metadata": { "description": "x" } },',
    /unused is not used/
  ],
  ["parameters('hostData')", "parameters('hostdata')", /hostdata is not declared/],
  ['"[parameters(\'ccePolicy\')]"', '""', /there is an empty value/],
  ['.ipAddress.ip]', '.ipAddress.ip', /unfinished/],
  ['[first(split(', '[last(split(', /unknown function last/],
  ['"description": "Name of the key"', '"about": "Name of the key"', /keyName has no description/]
] as const

t.test('the rules would notice faults', async t => {
  const text = readFileSync(join(aci, 'mainTemplate.json'), 'utf8')
  for (const [from, to, expected] of FAULTS) {
    t.ok(text.includes(from), from)
    const faults = armFaults(JSON.parse(text.replaceAll(from, to)) as Template)
    t.ok(faults.some(fault => expected.test(fault)), `${to}: ${faults.join('; ')}`)
  }
  const form = readFileSync(join(aci, 'createUiDefinition.json'), 'utf8')
  const template = JSON.parse(text) as Template
  for (const [from, to, expected] of [
    [
      '"hostData": "[steps(\'policy\').hostData]"', '"hostdata": "[steps(\'policy\').hostData]"',
      /hostData has neither a default nor an output/
    ],
    ['"^[0-9a-f]{64}$"', '"[0-9a-f]{64}"', /not anchored/],
    ['"defaultValue": "polaris-proxy"', '"defaultValue": "Polaris Proxy"', /does not match its pattern/],
    ['"location": "[location()]"', '"place": "[location()]"', /location is not an output/]
  ] as const) {
    t.ok(form.includes(from), from)
    const faults = formFaults(JSON.parse(form.replaceAll(from, to)) as Form, template)
    t.ok(faults.some(fault => expected.test(fault)), `${to}: ${faults.join('; ')}`)
  }
})

t.test('the extension passes every answer to a value of the chart that exists', async t => {
  const template = json<Template>(join(aks, 'mainTemplate.json'))
  const [extension] = template.resources as unknown as [
    { name: string, scope: string, plan: object, properties: { configurationSettings: Record<string, string> } }
  ]
  const values = parse(readFileSync(join(aks, 'chart/values.yaml'), 'utf8')) as Record<string, unknown>
  const known = new Set<string>(Object.values(settings).map(({ env }) => env))
  const passed = new Set<string>()
  for (const [name, expression] of Object.entries(extension.properties.configurationSettings)) {
    const [, setting] = /^settings\.(\w+)$/.exec(name) ?? []
    if (setting !== undefined) t.ok(known.has(setting), setting)
    else {
      t.not(
        name.split('.').reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], values),
        undefined, name
      )
    }
    const [, parameter = ''] = /^\[(?:string\()?parameters\('(\w+)'\)\)?\]$/.exec(expression) ?? []
    passed.add(parameter)
  }
  for (const parameter of [extension.name, extension.scope].join().matchAll(/parameters\('(\w+)'\)/g)) {
    passed.add(parameter[1] ?? '')
  }
  t.same([...passed].sort(), Object.keys(template.parameters).sort())
  t.same(Object.entries(template.variables), [
    'plan-name', 'plan-publisher', 'plan-offerID', 'releaseTrain', 'clusterExtensionTypeName'
  ].map(name => [name, 'DONOTMODIFY']),
  'as Partner Center looks for them')
})

t.test('the bundle has all that its manifest names, and every image by digest, from one registry', async t => {
  const manifest = parse(readFileSync(join(aks, 'manifest.yaml'), 'utf8')) as Record<string, string>
  const { version } = json<{ version: string }>(join(root, 'package.json'))
  t.match(
    manifest,
    { applicationName: 'com.example.polaris', publisher: 'Example', version, registryServer: 'registry.example.com' }
  )
  for (const member of ['helmChart', 'clusterArmTemplate', 'uiDefinition']) {
    t.ok(existsSync(join(aks, manifest[member] ?? '')), member)
  }
  const { global: { azure: { images } }, podLabels } = parse(readFileSync(join(aks, 'chart/values.yaml'), 'utf8')) as
    { global: { azure: { images: Record<string, Record<string, string>> } }, podLabels: object }
  for (const [name, { registry, image, digest }] of Object.entries(images)) {
    t.equal(`${registry}/${image}@${digest}`, IMAGES[name as keyof typeof IMAGES])
  }
  t.same(podLabels, { 'azure-extensions-usage-release-identifier': '{{ .Release.Name }}' })
  // As it is in the repository, before anything is filled in.
  const source = parse(
    readFileSync(join(root, 'marketplace/azure/aks/manifest.yaml'), 'utf8')
  ) as Record<string, string>
  for (const member of ['helmChart', 'clusterArmTemplate', 'uiDefinition']) {
    t.ok(existsSync(join(root, 'marketplace/azure/aks', source[member] ?? '')), member)
  }
})

t.test('the offer for container groups is the template of docs/deploy-azure.md, with its images fixed', async t => {
  const source = json<Template>(join(root, 'examples/azure-aci/mainTemplate.json'))
  const { parameters, ...rest } = json<Template>(join(aci, 'mainTemplate.json'))
  const { parameters: original, ...others } = source
  t.same(rest, others)
  for (const name of ['proxy', 'workload', 'sidecar'] as const) {
    t.match(
      parameters[`${name}Image`], { defaultValue: IMAGES[name], allowedValues: [IMAGES[name]] },
      'no other image, whatever is asked for'
    )
    t.notMatch(original[`${name}Image`], { defaultValue: /./ })
  }
})

/** In the place of Microsoft's: writes a policy that names the images, as acipolicygen does. */
const AZ = `#!/usr/bin/env bash
set -euo pipefail
[[ "$1 $2" == 'confcom acipolicygen' && "$3" == --template-file && "$5" == --parameters ]]
images=$(jq -r '.parameters | to_entries[] | select(.key | endswith("Image")) | .value.value' "$6")
policy=$(base64 --wrap=0 <<< "package policy # $images")
jq --arg policy "$policy" '(.resources[] | select(.type == "Microsoft.ContainerInstance/containerGroups")
  | .properties.confidentialComputeProperties.ccePolicy) |= (if . == "" then $policy else error("there is a policy") end)' "$4" > "$4.new"
mv "$4.new" "$4"
`

t.test('policy.sh writes the policy of exactly these parameters, and its hash', {
  skip: spawnSync('jq', ['--version']).status !== 0 && 'jq is not installed'
}, async t => {
  const directory = assemble(t, 'azure-aci')
  const bin = t.testdir({ az: AZ })
  chmodSync(join(bin, 'az'), 0o755)
  const file = join(directory, 'parameters.json')
  const run = () => spawnSync(
    join(directory, 'policy.sh'), [file], { encoding: 'utf8', env: { PATH: `${bin}:${process.env['PATH']}` } }
  )
  const read = () => json<{ parameters: Record<string, { value: string }> }>(file).parameters

  const { status, stdout, stderr } = run()
  t.equal(status, 0, stderr)
  const { ccePolicy, hostData, akvEndpoint } = read()
  const policy = Buffer.from(ccePolicy?.value ?? '', 'base64')
  t.match(policy.toString(), IMAGES.proxy)
  t.equal(hostData?.value, createHash('sha256').update(policy).digest('hex'))
  t.match(stdout, `hostData  ${hostData?.value}`)
  t.equal(akvEndpoint?.value, 'myvault.vault.azure.net', 'the others are left alone')
  t.equal(run().status, 0, 'and it can be run again')
  t.same(read().hostData, hostData)
  t.same(Object.keys(read()).filter(
    name => json<Template>(join(directory, 'mainTemplate.json')).parameters[name] === undefined
  ), [])

  writeFileSync(file, readFileSync(file, 'utf8').replace(/@sha256:\w+/, ':latest'))
  const refused = run()
  t.equal(refused.status, 1)
  t.match(refused.stderr, /no digest in proxyImage/)
})

t.test('an image without digest, a missing argument and a directory that is not empty are refused', async t => {
  for (const [words, message] of [
    [['azure-aks'], /needs --output/],
    [['nowhere', '--output', 'x'], /usage/],
    [
      ['azure-aks', '--output', join(t.testdir(), 'a'), '--proxy', 'registry.example.com/polaris:1.0.0'],
      /not an image by digest/
    ],
    [['azure-aks', '--output', root], /is not empty/]
  ] as const) {
    const script = runScript(t, ['marketplace/assemble.ts', ...words])
    t.equal(await script.ended, 2)
    t.match(script.output(), message)
  }
})
