/** The Terraform modules and the ARM template: well-formed, consistent, and they bind the key to what runs. */
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { armFaults } from '../fixtures/arm.ts'

// By require, because its declarations would bring a browser's types into every file.
const { parse } = createRequire(import.meta.url)('@cdktf/hcl2json') as {
  parse (name: string, hcl: string): Promise<Record<string, unknown>>
}

const examples = join(import.meta.dirname, '../../examples')
const clouds = ['google', 'azure'] as const

/** The `.tf` files of an example. */
function sources (cloud: string): Array<{ file: string, text: string }> {
  const dir = join(examples, 'terraform', cloud)
  return readdirSync(dir).filter(file => file.endsWith('.tf')).map(
    file => ({ file: `${cloud}/${file}`, text: readFileSync(join(dir, file), 'utf8') })
  )
}

/** Lines whose `=` is not where `terraform fmt` puts it: aligned with those of the adjacent lines of equal depth. */
function misaligned (text: string): string[] {
  const bad: string[] = []
  let previous: { indent: number, column: number } | undefined
  for (const line of text.split('\n')) {
    const [, indent, key = '', spaces = '', value = ''] = /^( *)([\w"$({.})-]+)( +)= (.*)$/.exec(line) ?? []
    if (indent === undefined) {
      previous = undefined
      continue
    }
    const column = indent.length + key.length + spaces.length
    const multiline = /[[{(]$/.test(value)
    if (previous?.indent === indent.length && !multiline && previous.column !== column) bad.push(line)
    previous = multiline ? undefined : { indent: indent.length, column }
  }
  return bad
}

t.test('the Terraform examples are valid HCL, formatted', async t => {
  for (const { file, text } of clouds.flatMap(sources)) {
    t.ok(Object.keys(await parse(file, text)).length > 0, file)
    t.notMatch(text, /\t| $/m, `${file} has neither tabs nor trailing spaces`)
    t.same(text.split('\n').filter(line => /^( {2})* \S/.test(line)), [], `${file} is indented by two spaces`)
    t.same(misaligned(text), [], `${file} aligns its equals signs`)
  }
})

t.test('every variable and local that is used is declared, and the other way round', async t => {
  for (const cloud of clouds) {
    const text = sources(cloud).map(({ text }) => text).join('\n')
    const declared = [...text.matchAll(/^variable "(\w+)"/gm)].map(([, name]) => name)
    const used = new Set([...text.matchAll(/\bvar\.(\w+)/g)].map(([, name]) => name))
    t.same([...used].toSorted(), declared.toSorted(), cloud)
    for (const [, name] of text.matchAll(/\blocal\.(\w+)/g)) {
      t.match(text, new RegExp(`^ {2}${name} += `, 'm'), `local.${name}`)
    }
  }
})

/**
 * Those of Terraform's functions that the examples need, and the types `list` and `map`. What is not one of its
 * functions shows at `plan` only.
 */
const FUNCTIONS = [
  'base64decode', 'base64encode', 'can', 'concat', 'contains', 'join', 'jsonencode', 'keys', 'length', 'list', 'map',
  'merge', 'regex', 'replace', 'sha256', 'sort', 'toset', 'tostring'
]

t.test('every function that is called is one of Terraform\'s', async t => {
  // Of strings, only what they interpolate.
  const code = clouds.flatMap(sources).map(({ text }) => text.replaceAll(/#.*$/gm, '')
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, string => (string.match(/\$\{[^}]*\}/g) ?? []).join())).join('\n')
  t.same([...new Set([...code.matchAll(/\b([a-z]\w*)\(/g)].map(([, name]) => name))].toSorted(), FUNCTIONS)
})

t.test('the ARM parameters to fill in are those without a default', async t => {
  const read = (name: string) => JSON.parse(readFileSync(join(examples, 'azure-aci', name), 'utf8')).parameters
  const needed = Object.entries<{ defaultValue?: string }>(read('mainTemplate.json')).filter(
    ([, { defaultValue }]) => defaultValue === undefined
  ).map(([name]) => name)
  t.same(
    [...Object.keys(read('parameters.json')), 'ccePolicy', 'hostData'].toSorted(), needed.toSorted(),
    'but those that policy.sh adds'
  )
})

t.test('on Google Cloud, the key is bound to the image, its environment, and production mode', async t => {
  const text = sources('google').map(({ text }) => text).join('\n')
  for (const pin of [
    /container\.image_digest == '\$\{var\.image_digest\}'/,
    /env_override\['\$\{name\}'\] == '\$\{value\}'/,
    /assertion\.hwmodel == '\$\{local\.hardware\[var\.confidential_instance_type\]\}'/,
    /dbgstat == 'disabled-since-boot'/,
    /'STABLE' in assertion\.submods\.confidential_space\.support_attributes/,
    /attribute\.image_digest\/\$\{var\.image_digest\}/
  ]) t.match(text, pin)
})

t.test('on Google Cloud, hardware that is no TEE gets no key, whatever is asked for', async t => {
  const text = sources('google').map(({ text }) => text).join('\n')
  const [, models = ''] = /^ {2}hardware = (\{.*\})$/m.exec(text) ?? []
  t.same(
    [...models.matchAll(/(\w+) = "(\w+)"/g)].map(([, type, model]) => [type, model]),
    [['SEV', 'GCP_AMD_SEV'], ['TDX', 'GCP_INTEL_TDX']]
  )
  t.match(text, /condition {5}= contains\(\["SEV", "TDX"\], var\.confidential_instance_type\)/)
  t.match(text, /"assertion\.secboot == true"/)
  t.match(readFileSync(join(examples, '../docs/deploy-google.md'), 'utf8'), /assertion\.hwmodel == 'GCP_AMD_SEV'/)
})

t.test('on Azure, the key is bound to the policy of the container group, without debugging', async t => {
  const claims = [
    'x-ms-attestation-type', 'x-ms-compliance-status', 'x-ms-sevsnpvm-hostdata', 'x-ms-sevsnpvm-is-debuggable'
  ]
  const arm = (name: string) => JSON.parse(readFileSync(join(examples, 'azure-aci', name), 'utf8'))
  const { anyOf: [{ allOf }] } = arm('mainTemplate.json').variables.releasePolicy
  t.same(allOf.map(({ claim }: { claim: string }) => claim), claims)
  const text = sources('azure').map(({ text }) => text).join('\n')
  for (const claim of claims) t.ok(text.includes(`claim = "${claim}"`), claim)

  const { containers, ipAddress, sku, confidentialComputeProperties } = arm('mainTemplate.json').resources
    .find(({ type }: { type: string }) => type === 'Microsoft.ContainerInstance/containerGroups').properties
  t.same(confidentialComputeProperties, { ccePolicy: "[parameters('ccePolicy')]" })
  t.match(
    arm('mainTemplate.json').parameters, { ccePolicy: { minLength: 4 }, hostData: { minLength: 64, maxLength: 64 } },
    'an empty policy would let anything run'
  )
  t.equal(sku, 'Confidential')
  t.same(containers.map(({ name }: { name: string }) => name), ['proxy', 'workload', 'skr'])
  t.same(ipAddress.ports, [{ port: 3000, protocol: 'TCP' }], 'only the proxy is reachable')
})

t.test('the ARM template breaks none of the marketplace\'s rules', async t => {
  t.same(armFaults(JSON.parse(readFileSync(join(examples, 'azure-aci/mainTemplate.json'), 'utf8'))), [])
})
