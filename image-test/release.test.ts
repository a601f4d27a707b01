// The rehearsal of a release: it builds each image twice, in other places, under other umasks and time zones, and gets
// the digests of the images under test; and it writes all that is published.
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { cyclonedxErrors } from '../test/fixtures/cyclonedx.ts'
import { readImage } from './fixtures/layout.ts'

const project = new URL('..', import.meta.url).pathname
const work = mkdtempSync(join(tmpdir(), 'release-'))
t.teardown(() => { rmSync(work, { recursive: true }) })
const out = join(work, 'release')
const executable = `polaris-linux-${process.arch}`
const read = (name: string) => readFileSync(join(out, name), 'utf8').trim()

t.test('scripts/release-dry-run.sh builds, compares and describes everything', async t => {
  const { status, stdout, stderr } = spawnSync(
    'scripts/release-dry-run.sh', [out], { cwd: project, encoding: 'utf8', maxBuffer: 2 ** 28 }
  )
  t.equal(status, 0, stderr.slice(-4_000))
  t.same(readdirSync(out).sort(), [
    'amd64', 'arm64', 'builder.txt', 'digest', 'index.oci.tar', 'licences-amd64.md', 'licences-arm64.md', executable,
    `${executable}.sha256`,
    'polaris-verify.html', 'polaris-verify.html.sha256', 'sbom-amd64.cdx.json', 'sbom-arm64.cdx.json', 'sdk.tgz',
    'version'
  ])
  t.equal(stderr.match(/^reproducible$/gm)?.length, 2)
  for (const name of ['amd64', 'arm64']) t.match(stdout, `${name}  ${read(name)}`)
})

t.test('its images are the ones under test, and its index has both', async t => {
  t.same([read('amd64'), read('arm64')], [readImage().digest, readImage('ARM64').digest])
  execFileSync('tar', ['--extract', '--file', join(out, 'index.oci.tar'), '--directory', work])
  const index = readFileSync(join(work, 'index/blobs', ...read('digest').split(':')))
  t.equal(`sha256:${createHash('sha256').update(index).digest('hex')}`, read('digest'))
  const { manifests } = JSON.parse(index.toString()) as { manifests: { digest: string }[] }
  t.same(manifests.map(({ digest }) => digest), [read('amd64'), read('arm64')])
})

t.test('what describes them is valid', async t => {
  for (const name of ['amd64', 'arm64']) {
    t.same(cyclonedxErrors(JSON.parse(read(`sbom-${name}.cdx.json`))), [])
    t.match(read(`licences-${name}.md`), /^\| fastify \| /m)
  }
})

t.test('the SDK can be installed from its file, and the command runs without Node', async t => {
  const { version } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as { version: string }
  t.equal(read('version'), version)
  execFileSync('tar', ['--extract', '--file', join(out, 'sdk.tgz'), '--directory', work])
  t.match(
    JSON.parse(readFileSync(join(work, 'package/package.json'), 'utf8')), { name: '@polaris-secure-proxy/sdk', version }
  )
  execFileSync('sha256sum', ['--check', '--quiet', `${executable}.sha256`], { cwd: out })
  const printed = execFileSync(
    join(out, executable), ['--version'], { encoding: 'utf8', env: { PATH: '/nonexistent' } }
  )
  t.equal(printed.trim(), version)
})

t.test('a directory that exists is refused, and what is not a digest', async t => {
  t.equal(spawnSync('scripts/release-dry-run.sh', [out], { cwd: project }).status, 2)
  t.equal(spawnSync('docker/verify.sh', ['sha256:1234'], { cwd: project }).status, 2)
})
