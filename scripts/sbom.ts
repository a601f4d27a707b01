/**
 * Writes a software bill of materials, CycloneDX 1.6 as JSON, to standard output. The same inputs always give the
 * same bytes: nothing in it depends on when and where it was made.
 *
 * usage: node scripts/sbom.ts [<OCI layout>]
 *
 * Without a layout: the locked npm packages. With one, as docker/build.sh writes it: also Node and the Debian
 * packages of the base, and the image's digest as the subject.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runtimePackages } from './lockfile.ts'
import type { LockedPackage } from './lockfile.ts'

interface Component {
  type: string
  'bom-ref': string
  name: string
  version: string
  [field: string]: unknown
}

interface Descriptor { digest: string, mediaType: string }

const [layout] = process.argv.slice(2)
const { name, version, description, license } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as Record<string, string>

const packages = runtimePackages('')
const byPath = new Map(packages.map(entry => [entry.path, npmPurl(entry)]))
const unique = new Map(packages.map(entry => [npmPurl(entry), entry]))
const base = layout === undefined ? { subject: undefined, components: [] } : inspect(layout)

const subject = base.subject ?? {
  type: 'application',
  'bom-ref': `pkg:npm/${name}@${version}`,
  name,
  version,
  purl: `pkg:npm/${name}@${version}`
}
const direct = Object.keys((JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as
  { dependencies: Record<string, string> }).dependencies)

const contents = {
  metadata: {
    component: { ...subject, description, licenses: [{ license: { id: license } }] }
  },
  components: [...base.components, ...[...unique].map(([purl, entry]) => npmComponent(purl, entry))],
  dependencies: [
    {
      ref: subject['bom-ref'],
      dependsOn: [...base.components.map(component => component['bom-ref']), ...direct.map(name => byPath.get(`node_modules/${name}`))]
    },
    ...[...unique].map(([purl, entry]) => ({ ref: purl, dependsOn: [...new Set(entry.dependencies.map(path => byPath.get(path)))] }))
  ]
}
const bom = {
  $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  serialNumber: `urn:uuid:${uuid(JSON.stringify(contents))}`,
  version: 1,
  ...contents
}
process.stdout.write(`${JSON.stringify(bom, undefined, 2)}\n`)

/** Of version 8 (RFC 9562, section 5.8): no time and no chance in it, but the SHA-256 of what it names. */
function uuid (text: string): string {
  const octets = createHash('sha256').update(text).digest().subarray(0, 16)
  octets[6] = 0x80 | Number(octets[6]) & 0x0f
  octets[8] = 0x80 | Number(octets[8]) & 0x3f
  return octets.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

function npmPurl ({ name, version }: LockedPackage): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`
}

function npmComponent (purl: string, { name, version, integrity, license }: LockedPackage): Component {
  const [algorithm, content = ''] = integrity.split('-')
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    hashes: [{ alg: algorithm === 'sha512' ? 'SHA-512' : 'SHA-1', content: Buffer.from(content, 'base64').toString('hex') }],
    licenses: [/[ ()]/.test(license) ? { expression: license } : { license: { id: license } }]
  }
}

/** What an image holds beside the application: read from its layers, not from what they were meant to be. */
function inspect (layout: string): { subject: Component, components: Component[] } {
  const blob = (digest: string) => join(layout, 'blobs', ...digest.split(':'))
  const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { manifests: Descriptor[] }
  const [manifest] = index.manifests
  if (manifest === undefined || index.manifests.length !== 1) throw new Error(`${layout} does not hold exactly one image`)
  const { layers } = JSON.parse(readFileSync(blob(manifest.digest), 'utf8')) as { layers: Descriptor[] }

  const work = mkdtempSync(join(tmpdir(), 'sbom-'))
  try {
    const components: Component[] = []
    for (const { digest } of layers) {
      const entries = execFileSync('tar', ['-tzf', blob(digest)], { encoding: 'utf8', maxBuffer: 2 ** 28 }).split('\n')
      const wanted = entries.filter(path =>
        /(?:^|\/)var\/lib\/dpkg\/status\.d\/[^/.][^/]*$/.test(path) || /^(?:\.?\/)?nodejs\/bin\/node$/.test(path))
      if (wanted.length > 0) execFileSync('tar', ['-xzf', blob(digest), '-C', work, '--', ...wanted])
    }
    const status = join(work, 'var/lib/dpkg/status.d')
    for (const file of readdirSync(status).filter(file => !file.endsWith('.md5sums')).sort()) {
      components.push(debianComponent(readFileSync(join(status, file), 'utf8')))
    }
    components.push(nodeComponent(readFileSync(join(work, 'nodejs/bin/node'))))
    const purl = `pkg:oci/${name}@${manifest.digest.replace(':', '%3A')}`
    return {
      subject: {
        type: 'container',
        'bom-ref': purl,
        name: String(name),
        version: String(version),
        purl,
        hashes: [{ alg: 'SHA-256', content: manifest.digest.slice('sha256:'.length) }]
      },
      components
    }
  } finally {
    rmSync(work, { recursive: true })
  }
}

function debianComponent (control: string): Component {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(control)?.[1] ?? ''
  const [name, version] = [field('Package'), field('Version')]
  const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${field('Architecture')}`
  return { type: 'library', 'bom-ref': purl, name, version, purl }
}

/** The binary itself says which release it is: the address of its own source is compiled in. */
function nodeComponent (binary: Buffer): Component {
  const text = binary.toString('latin1')
  const version = /\/node-v(\d+\.\d+\.\d+)\.tar\.gz/.exec(text)?.[1]
  if (version === undefined) throw new Error('the Node binary does not tell its version')
  const purl = `pkg:generic/node@${version}`
  return { type: 'platform', 'bom-ref': purl, name: 'node', version, purl, licenses: [{ license: { id: 'MIT' } }] }
}
