/**
 * Writes a software bill of materials, CycloneDX 1.6 as JSON, to standard output. The same inputs always give the
 * same bytes: nothing in it depends on when and where it was made.
 *
 * usage: node scripts/sbom.ts [<OCI layout>]
 *
 * Without a layout: the locked npm packages. With one, as docker/build.sh writes it: also Node and the Debian
 * packages of the base, and the image's digest as the subject.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readImageContents } from './image-contents.ts'
import type { DebianPackage } from './image-contents.ts'
import { buildPage } from '../page/build.ts'
import { lockedPackages, runtimePackages } from './lockfile.ts'
import type { LockedPackage } from './lockfile.ts'

interface Component {
  type: string
  'bom-ref': string
  name: string
  version: string
  [field: string]: unknown
}

const [layout] = process.argv.slice(2)
const { name, version, description, license } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as Record<string, string>

// Parts of some are in the page that verifies a proxy, and nowhere else.
const run = runtimePackages('')
const ofPage = lockedPackages((await buildPage()).packages)
const packages = [...run, ...ofPage.filter(({ path }) => !run.some(other => other.path === path))]
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
const contained = new Set([...direct.map(name => byPath.get(`node_modules/${name}`)), ...ofPage.map(npmPurl)])

const contents = {
  metadata: {
    component: { ...subject, description, licenses: [{ license: { id: license } }] }
  },
  components: [...base.components, ...[...unique].map(([purl, entry]) => npmComponent(purl, entry))],
  dependencies: [
    {
      ref: subject['bom-ref'],
      dependsOn: [...base.components.map(component => component['bom-ref']), ...contained]
    },
    ...[...unique].map(
      ([purl, entry]) => ({ ref: purl, dependsOn: [...new Set(entry.dependencies.map(path => byPath.get(path)))] })
    )
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
    hashes: [
      { alg: algorithm === 'sha512' ? 'SHA-512' : 'SHA-1', content: Buffer.from(content, 'base64').toString('hex') }
    ],
    licenses: [/[ ()]/.test(license) ? { expression: license } : { license: { id: license } }]
  }
}

/** What an image holds beside the application: read from its layers, not from what they were meant to be. */
function inspect (layout: string): { subject: Component, components: Component[] } {
  const { digest, debian, node } = readImageContents(layout)
  const purl = `pkg:oci/${name}@${digest.replace(':', '%3A')}`
  return {
    subject: {
      type: 'container',
      'bom-ref': purl,
      name: String(name),
      version: String(version),
      purl,
      hashes: [{ alg: 'SHA-256', content: digest.slice('sha256:'.length) }]
    },
    components: [...debian.map(debianComponent), nodeComponent(node)]
  }
}

function debianComponent ({ name, version, architecture }: DebianPackage): Component {
  const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}`
  return { type: 'library', 'bom-ref': purl, name, version, purl }
}

function nodeComponent (version: string): Component {
  const purl = `pkg:generic/node@${version}`
  return { type: 'platform', 'bom-ref': purl, name: 'node', version, purl, licenses: [{ license: { id: 'MIT' } }] }
}
