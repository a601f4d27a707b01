// What is in the image: the reviewed sources, the locked dependencies, Node and its libraries, and nothing else.
import { execFileSync } from 'node:child_process'
import { lstatSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { buildPage } from '../page/build.ts'
import { runtimePackages } from '../scripts/lockfile.ts'
import { cyclonedxErrors } from '../test/fixtures/cyclonedx.ts'
import { START } from '../test/fixtures/process.ts'
import { compressedSize, readImage, unpack } from './fixtures/layout.ts'

const project = new URL('..', import.meta.url).pathname
const image = readImage()
const root = unpack(t, image)
const git = (...words: string[]) => execFileSync('git', ['-C', project, ...words], { maxBuffer: 2 ** 28 })
const revision = image.config.config.Labels['org.opencontainers.image.revision'] ?? ''

const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).map(path => `/${path}`).sort()
const stats = new Map(paths.map(path => [path, lstatSync(join(root, path))]))
const files = paths.filter(path => stats.get(path)?.isFile())

t.test('it is small', async t => {
  const size = compressedSize(image)
  t.comment(`${(size / 1e6).toFixed(1)} MB compressed, ${files.length} files, ${files.filter(path =>
    path.startsWith('/app/')).length} of them below /app`)
  t.ok(size < 80e6, 'under 80 MB compressed')
})

t.test('the sources in it are the ones of the commit it names, byte for byte, and no others', async t => {
  t.equal(git('rev-parse', 'HEAD').toString().trim(), revision)
  const wanted = git(
    'ls-tree', '-r', '--name-only', revision, 'LICENSE', 'app.ts', 'server.ts', 'package.json', 'lib', 'plugins',
    'routes', 'sdk/collect.ts', 'sdk/network-error.ts', 'sdk/attestation'
  )
    .toString().trim().split('\n')
  const sources = new Map(wanted.map(path => [`/app/${path}`, path]))
  sources.set('/app/healthcheck.ts', 'docker/healthcheck.ts')
  const found = files.filter(path => path.startsWith('/app/') && !/^\/app\/(?:node_modules|dist)\//.test(path))
  t.same(found, [...sources.keys()].sort())
  for (const [path, source] of sources) {
    t.ok(readFileSync(join(root, path)).equals(git('show', `${revision}:${source}`)), path)
  }
})

t.test('what was built is the page that verifies a proxy alone, and it is what npm run page makes', async t => {
  t.same(files.filter(path => path.startsWith('/app/dist/')), ['/app/dist/polaris-verify.html'])
  t.equal(readFileSync(join(root, 'app/dist/polaris-verify.html'), 'utf8'), (await buildPage()).html)
})

t.test('the dependencies in it are the locked runtime packages, and no others', async t => {
  const wanted = runtimePackages('').map(({ path, name, version }) => `/app/${path} ${name}@${version}`)
  const found = files.filter(path => /\/node_modules\/(?:@[^/]+\/)?[^/]+\/package\.json$/.test(path)).map(path => {
    const { name, version } = JSON.parse(readFileSync(join(root, path), 'utf8')) as Record<string, string>
    return `${path.replace('/package.json', '')} ${name}@${version}`
  })
  t.same(found.sort(), wanted.sort())
})

t.test('every file of a dependency is the one that npm published; what is missing is TypeScript and source ' +
  'maps', async t => {
  const { packages } = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8')) as { packages: object }
  const published = runtimePackages('').flatMap(({ path }) => {
    // Packages inside of packages come by themselves, or are not needed at run time.
    const inner = Object.keys(packages).filter(other => other.startsWith(`${path}/node_modules/`))
    return readdirSync(join(project, path), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(project.length))
      .filter(file => !inner.some(other => file.startsWith(`${other}/`)))
  })
  const found = files.filter(path => path.startsWith('/app/node_modules/'))
  t.same(found, published.filter(path => !/\.(?:map|[cm]?ts)$/.test(path)).map(path => `/app/${path}`).sort())
  t.same(found.filter(
    path => !readFileSync(join(root, path)).equals(readFileSync(join(project, path.slice('/app/'.length))))
  ), [])
})

t.test('the bill of materials lists the image as it is', async t => {
  const bom = JSON.parse(execFileSync(process.execPath, [join(project, 'scripts/sbom.ts'), image.layout],
    { encoding: 'utf8', maxBuffer: 2 ** 26 })) as {
    metadata: { component: { hashes: { content: string }[] } },
    components: { purl: string, name: string, version: string }[]
  }
  t.same(cyclonedxErrors(bom), [])
  const { metadata, components } = bom
  t.equal(`sha256:${metadata.component.hashes[0]?.content}`, image.digest)
  const versions = new Map(components.map(({ name, version }) => [name, version]))
  const node = execFileSync(process.execPath, ['--version'], { encoding: 'utf8' }).trim()
  t.equal(`v${versions.get('node')}`, node)
  t.ok(components.some(({ purl }) => purl.startsWith('pkg:deb/debian/libc6@')))
  t.ok(versions.has('fastify'))
  t.ok(versions.has('@sigstore/verify'), 'part of the page that verifies a proxy')
})

t.test('there is no shell, no package manager and nothing else to run than Node', async t => {
  const tools =
    /\/(?:a?sh|bash|dash|busybox|zsh|npm|npx|yarn|pnpm|corepack|apt|apt-get|dpkg|apk|pip|curl|wget|perl|python3?|tsc|tap|eslint)$/
  t.same(files.filter(path => tools.test(path) && !path.startsWith('/app/node_modules/')), [])
  t.notOk(paths.some(path => path.startsWith('/app/node_modules/.bin')), 'packages put no command anywhere')
  const executable = files.filter(path => ((stats.get(path)?.mode ?? 0) & 0o111) !== 0)
  t.same(executable.filter(path => !/\.so(?:\.[\d.]+)?$/.test(path)), ['/nodejs/bin/node'])
})

t.test('nothing in it belongs to, or can be changed by, the user it runs as; nothing gains privileges', async t => {
  const { User } = image.config.config
  t.equal(User, '65532:65532')
  const changeable = paths.filter(path => {
    const { uid, mode } = stats.get(path) ?? { uid: NaN, mode: 0 }
    return !stats.get(path)?.isSymbolicLink() && (uid !== 0 || (mode & 0o022) !== 0)
  })
  t.same(changeable, ['/tmp'], 'only /tmp, where the root file system is writable at all')
  t.same(files.filter(path => ((stats.get(path)?.mode ?? 0) & 0o6000) !== 0), [], 'no setuid, no setgid')
})

t.test('it says what it is, and how it is meant to be run', async t => {
  const { config } = image.config
  const { version } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as Record<string, string>
  t.match(config, {
    Entrypoint: ['/nodejs/bin/node'],
    Cmd: START,
    WorkingDir: '/app',
    StopSignal: 'SIGTERM',
    ExposedPorts: { '3000/tcp': {} }
  })
  t.match(config.Labels, {
    'org.opencontainers.image.licenses': 'AGPL-3.0-only',
    'org.opencontainers.image.revision': /^[0-9a-f]{40}$/,
    'org.opencontainers.image.source': /^https:/,
    'org.opencontainers.image.version': version
  })
  t.ok(config.Env.includes(`POLARIS_COMMIT=${revision}`))
  t.ok(config.Env.includes('NODE_ENV=production'))
})

t.test('the order of its files does not depend on how the builder\'s storage compares directories', async t => {
  const top = image.manifest.layers.at(-1)?.digest ?? ''
  const listed = execFileSync(
    'tar', ['--list', '--gzip', '--file', join(image.layout, 'blobs', ...top.split(':'))],
    { encoding: 'utf8', maxBuffer: 2 ** 26 }
  )
    .trim().split('\n').map(path => path.replace(/\/$/, ''))
  t.ok(listed.length > 1000)
  t.same(listed, [...listed].sort(), 'sorted by the octets of their whole paths')
})

t.test('it carries no trace of the machine that built it', async t => {
  const time = Number(git('log', '-1', '--format=%ct', revision))
  t.equal(Date.parse(image.config.created) / 1000, time, 'it was made when the commit was')
  const late = files.filter(path => (stats.get(path)?.mtimeMs ?? 0) / 1000 > time)
  t.same(late, [], 'no file is younger than the commit')
  const text = JSON.stringify([image.manifest, image.config])
  for (const trace of [project, '/root', '/home', '/tmp/', 'buildah']) t.notOk(text.includes(trace), trace)
})
