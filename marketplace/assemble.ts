/**
 * Writes what a marketplace takes, from the sources in this directory and in examples/: with the images by digest, and
 * what is the publisher's filled in. The same arguments always give the same bytes.
 *
 *     node marketplace/assemble.ts azure-aks --output dist/aks --publisher Example --application com.example.polaris \
 *       --proxy REGISTRY/NAME@sha256:… --workload REGISTRY/NAME@sha256:…
 *     node marketplace/assemble.ts azure-aci --output dist/aci --proxy … --workload … --sidecar …
 *     node marketplace/assemble.ts google --output dist/google --publisher Example --partner-id … --product-id … \
 *       --proxy … --workload … --tester …
 *     node marketplace/assemble.ts google-vm --output dist/google-vm --image REGISTRY/NAME@sha256:…
 *
 * docs/marketplace.md says what to do with each.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { parseDocument } from 'yaml'
import { parseImage } from './images.ts'

const root = join(import.meta.dirname, '..')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }

const { values: options, positionals: [offer = ''] } = parseArgs({
  allowPositionals: true,
  options: Object.fromEntries([
    'output', 'publisher', 'application', 'partner-id', 'product-id', 'proxy', 'workload', 'sidecar', 'tester', 'image'
  ]
    .map(name => [name, { type: 'string' } as const]))
})

/** What was given for an option; ends with a message where nothing was. */
function given (name: string): string {
  const value = options[name]
  if (typeof value !== 'string' || value === '') throw new Error(`${offer} needs --${name}`)
  return value
}

const image = (name: string) => parseImage(given(name))

/** Changes members of a YAML file, and leaves its comments alone. */
function edit (path: string, changes: Record<string, unknown>): void {
  const document = parseDocument(readFileSync(path, 'utf8'))
  for (const [name, value] of Object.entries(changes)) {
    const keys = name.split('/')
    if (!document.hasIn(keys)) throw new Error(`${path} has no ${name}`)
    document.setIn(keys, value)
  }
  writeFileSync(path, document.toString({ lineWidth: 120, flowCollectionPadding: true }))
}

/** Of a chart's values: which images, and where. */
function imageValues (names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap(name => {
    const { registry, repository, digest } = image(name)
    return Object.entries({ registry, image: repository, digest }).map(
      ([member, value]) => [`global/azure/images/${name}/${member}`, value]
    )
  }))
}

function copy (from: string, to: string): void {
  cpSync(join(root, from), to, { recursive: true, dereference: true })
}

/** A directory as a .tar.gz that does not depend on who makes it, and when. */
function pack (directory: string, name: string, file: string): void {
  execFileSync('tar', ['--create', '--use-compress-program=gzip ' +
    '--no-name', '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner',
  '--mode=u=rwX,go=rX', '--file', file, '--directory', directory, name])
}

const writers: Record<string, (output: string) => void> = {
  'azure-aks' (output) {
    copy('marketplace/azure/aks', output)
    copy('examples/helm', join(output, 'chart'))
    edit(join(output, 'chart/values.yaml'), {
      ...imageValues(['proxy', 'workload']),
      // By it Microsoft counts what is used.
      podLabels: { 'azure-extensions-usage-release-identifier': '{{ .Release.Name }}' }
    })
    edit(join(output, 'manifest.yaml'), {
      applicationName: given('application'),
      publisher: given('publisher'),
      version,
      helmChart: './chart',
      registryServer: image('proxy').registry
    })
  },

  'azure-aci' (output) {
    copy('marketplace/azure/aci', output)
    for (const file of ['mainTemplate.json', 'policy.sh', 'parameters.json']) {
      copy(`examples/azure-aci/${file}`, join(output, file))
    }
    const edited = (file: string, change: (
      parameters: Record<string, Record<string, unknown>>, name: string, reference: string
    ) => void) => {
      const content = JSON.parse(readFileSync(join(output, file), 'utf8')) as {
        parameters: Record<string, Record<string, unknown>>
      }
      for (const name of ['proxy', 'workload', 'sidecar']) {
        image(name)
        change(content.parameters, `${name}Image`, given(name))
      }
      writeFileSync(join(output, file), `${JSON.stringify(content, undefined, 2)}\n`)
    }
    edited('mainTemplate.json', (parameters, name, reference) => {
      const { metadata, ...parameter } = parameters[name] ?? {}
      parameters[name] = { ...parameter, defaultValue: reference, allowedValues: [reference], metadata }
    })
    edited('parameters.json', (parameters, name, reference) => { parameters[name] = { value: reference } })
  },

  google (output) {
    const chart = join(output, 'work/chart')
    copy('marketplace/google/chart', chart)
    copy('examples/helm', join(chart, 'charts/polaris-secure-proxy'))
    const { registry, repository, digest } = image('tester')
    edit(join(chart, 'Chart.yaml'), { version, appVersion: version })
    edit(join(chart, 'values.yaml'), {
      ...imageValues(['proxy', 'workload']),
      'tester/image': `${registry}/${repository}`,
      'tester/digest': digest,
      'marketplace/partnerId': given('partner-id'),
      'marketplace/partnerName': given('publisher'),
      'marketplace/productId': given('product-id'),
      'polaris-secure-proxy/podLabels': {
        'goog-partner-id': given('partner-id'), 'goog-product-id': given('product-id')
      }
    })
    pack(join(output, 'work'), 'chart', join(output, 'chart.tar.gz'))
    rmSync(join(output, 'work'), { recursive: true })

    mkdirSync(join(output, 'work/chart/templates'), { recursive: true })
    copy('marketplace/google/apptest/tester.yaml', join(output, 'work/chart/templates/tester.yaml'))
    pack(join(output, 'work'), 'chart', join(output, 'apptest.tar.gz'))
    rmSync(join(output, 'work'), { recursive: true })

    for (const [from, to] of [
      ['Dockerfile', 'Dockerfile'], ['schema.yaml', 'schema.yaml'], ['apptest/schema.yaml', 'apptest-schema.yaml']
    ] as const) {
      copy(`marketplace/google/${from}`, join(output, to))
    }
    for (const file of ['schema.yaml', 'apptest-schema.yaml']) {
      edit(join(output, file), { 'x-google-marketplace/publishedVersion': version })
    }
  },

  'google-vm' (output) {
    copy('marketplace/google/vm', output)
    copy('examples/terraform/google', join(output, 'polaris'))
    rmSync(join(output, 'polaris/.terraform'), { recursive: true, force: true })
    const { registry, repository, digest } = image('image')
    for (const file of ['variables.tf', 'metadata.yaml']) {
      const path = join(output, file)
      writeFileSync(path, readFileSync(path, 'utf8').replaceAll(
        'registry.example.com/polaris', `${registry}/${repository}`
      )
        .replaceAll(`sha256:${'0'.repeat(64)}`, digest).replaceAll('version: 0.0.0', `version: ${version}`))
    }
  }
}

try {
  const write = writers[offer]
  if (write === undefined) {
    throw new Error(`usage: node marketplace/assemble.ts ${Object.keys(writers).join('|')} --output DIRECTORY …`)
  }
  const output = given('output')
  mkdirSync(output, { recursive: true })
  if (readdirSync(output).length > 0) throw new Error(`${output} is not empty`)
  write(output)
} catch (error) {
  if (!(error instanceof Error)) throw error
  process.stderr.write(`assemble: ${error.message}\n`)
  process.exitCode = 2
}
