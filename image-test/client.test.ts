// The image of the polaris command: what is in it, and `polaris proxy` at work in it as examples/local-proxy has it.
import { execFileSync } from 'node:child_process'
import { lstatSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { runtimePackages } from '../scripts/lockfile.ts'
import { startComposition } from './fixtures/composition.ts'
import { compressedSize, readImage, unpack } from './fixtures/layout.ts'
import { evaluate, logged, podman, start } from './fixtures/podman.ts'

const project = new URL('..', import.meta.url).pathname
const image = readImage('CLIENT')
const root = unpack(t, image)
const git = (...words: string[]) => execFileSync('git', ['-C', project, ...words], { maxBuffer: 2 ** 28 })
const revision = image.config.config.Labels['org.opencontainers.image.revision'] ?? ''
const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).map(path => `/${path}`).sort()
const stats = new Map(paths.map(path => [path, lstatSync(join(root, path))]))
const files = paths.filter(path => stats.get(path)?.isFile())

t.test('it is small', async t => {
  const size = compressedSize(image)
  t.comment(`${(size / 1e6).toFixed(1)} MB compressed, ${files.length} files`)
  t.ok(size < 70e6, 'under 70 MB compressed')
})

t.test('the sources in it are the ones of the commit it names, byte for byte, and no others', async t => {
  const wanted =
    git('ls-tree', '-r', '--name-only', revision, 'LICENSE', 'lib/protocols', 'sdk').toString().trim().split('\n')
  const found = files.filter(path => path.startsWith('/app/') && !path.startsWith('/app/node_modules/'))
  t.same(found, wanted.map(path => `/app/${path}`).sort())
  t.same(wanted.filter(path => !readFileSync(join(root, 'app', path)).equals(git('show', `${revision}:${path}`))), [])
})

t.test('the dependencies in it are those of the SDK, with its optional ones, as they are locked', async t => {
  const { optionalDependencies } = JSON.parse(
    readFileSync(join(project, 'sdk/package.json'), 'utf8')
  ) as { optionalDependencies: Record<string, string> }
  const optional = Object.keys(optionalDependencies).map(name => `node_modules/${name}`)
  const wanted = new Set(
    [...['sdk', ...optional].flatMap(path => runtimePackages(path).map(({ path }) => path)), ...optional]
  )
  const found = files.filter(path => /\/node_modules\/(?:@[^/]+\/)?[^/]+\/package\.json$/.test(path)).map(
    path => path.slice('/app/'.length, -'/package.json'.length)
  )
  t.same(found.sort(), [...wanted].sort())
  const changed = files.filter(path => path.startsWith('/app/node_modules/'))
    .filter(path => !readFileSync(join(root, path)).equals(readFileSync(join(project, path.slice('/app/'.length)))))
  t.same(changed, [], 'as npm published them')
})

t.test('nothing in it can be changed by the user it runs as, and there is nothing else to run than Node', async t => {
  t.equal(image.config.config.User, '65532:65532')
  const changeable = paths.filter(path => {
    const { uid, mode } = stats.get(path) ?? { uid: NaN, mode: 0 }
    return !stats.get(path)?.isSymbolicLink() && (uid !== 0 || (mode & 0o022) !== 0)
  })
  t.same(changeable, ['/tmp'])
  const executable = files.filter(
    path => ((stats.get(path)?.mode ?? 0) & 0o111) !== 0 && !/\.so(?:\.[\d.]+)?$/.test(path)
  )
  t.same(executable, ['/nodejs/bin/node'])
  t.match(image.config.config, {
    Entrypoint: ['/nodejs/bin/node', '--disable-sigusr1', '/app/sdk/cli/main.ts'],
    StopSignal: 'SIGTERM',
    ExposedPorts: { '8787/tcp': {} }
  })
})

t.test('another build gives the same digest', async t => {
  const env = { ...process.env, DOCKERFILE: 'docker/client.Dockerfile', REVISION: revision }
  const printed = execFileSync(
    'docker/verify.sh', [image.digest], { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env }
  )
  t.match(printed, /reproducible\n$/)
})

interface Service {
  command: string[]
  user: string
  read_only: true
  cap_drop: string[]
  security_opt: string[]
  mem_limit: string
  pids_limit: number
  healthcheck: { test: string[] }
}

t.test('polaris proxy in it, as the compose file has it: verified, unprivileged, and gone on SIGTERM', async t => {
  const network = 'polaris-client'
  const composition = await startComposition(t, network)
  const url = await composition.startProxy(
    t, { POLARIS_CONTAINER_ATTESTATION_TYPE: 'simulated', POLARIS_CONTAINER_ATTESTATION_ALLOW_SIMULATED: 'true' }
  )
  const folder = mkdtempSync(join(tmpdir(), 'policy-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  // Of what the proxy presents; readable to the user of the image.
  execFileSync(
    process.execPath,
    [join(project, 'sdk/cli/main.ts'), 'policy', 'init', url, '--development', '--output', join(folder, 'policy.json')]
  )
  execFileSync('chmod', ['-R', 'a+rX', folder])

  const { services } = parse(
    readFileSync(join(project, 'examples/local-proxy/compose.yaml'), 'utf8')
  ) as { services: { polaris: Service } }
  const service = services.polaris
  await start(t, 'client', [
    '--network', network, '--user', service.user, '--read-only', '--read-only-tmpfs=false',
    ...service.cap_drop.flatMap(name => ['--cap-drop', name]),
    ...service.security_opt.flatMap(option => ['--security-opt', option.replace(/:true$/, '')]), '--memory',
    service.mem_limit, '--memory-swap', service.mem_limit,
    '--pids-limit', String(service.pids_limit), '--volume', `${folder}/policy.json:/policy.json:ro`,
    'localhost/polaris-client:local',
    ...service.command.map(word => word.startsWith('$') ? url : word)
  ])
  await logged('client', /listening on/)
  const answer = await evaluate('client', 'const r = await fetch("http://127.0.0.1:8787/hello?name=Ada"); ' +
    'console.log(r.status, r.headers.get("polaris-verified"), await r.text())')
  t.match(answer, /^200 no .*Hello, Ada/)
  t.equal(await podman('exec', 'client', ...service.healthcheck.test.slice(1)), '')
  await podman('stop', 'client')
  t.equal(await podman('inspect', '--format', '{{.State.ExitCode}}', 'client'), '0')
})
