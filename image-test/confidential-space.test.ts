// The combined image of examples/confidential-space: proxy and workload in one container.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { address, createNetwork, podman, ready, start } from './fixtures/podman.ts'

const run = promisify(execFile)
const project = new URL('..', import.meta.url).pathname
const IMAGE = 'localhost/polaris-confidential-space:local'

await run('buildah', ['build', '--isolation', 'chroot', '--ignorefile', '/dev/null', '--build-arg', 'PROXY_IMAGE=localhost/polaris-secure-proxy:local',
  '--file', 'examples/confidential-space/Dockerfile', '--tag', IMAGE, project], { maxBuffer: 2 ** 26, cwd: project })
await createNetwork(t, 'polaris-combined')

async function startCombined (t: Parameters<typeof start>[0]) {
  await start(t, 'combined', ['--network', 'polaris-combined', '--read-only', '--read-only-tmpfs=false', '--cap-drop', 'ALL',
    '--security-opt', 'no-new-privileges', '--stop-timeout', '40', IMAGE])
  const url = `http://${await address('combined', 'polaris-combined')}:3000`
  await ready(`${url}/polaris-container/readyz`, 'combined')
  return url
}

t.test('it serves encrypted exchanges without any setting, and the workload is not to be reached', async t => {
  const url = await startCombined(t)
  const { stdout } = await run(process.execPath, ['examples/client/client.ts'], { cwd: project, env: { ...process.env, PROXY_URL: url } })
  t.match(stdout, /GET \/hello: 200 .*Hello, Ada/s)
  t.equal((await fetch(`${url}/hello`)).status, 400)
  await t.rejects(fetch(url.replace(':3000', ':3001/hello')), { cause: { code: 'ECONNREFUSED' } })
})

t.test('it ends on SIGTERM, both processes, with 0', async t => {
  await startCombined(t)
  await podman('stop', 'combined')
  t.equal(await podman('inspect', '--format', '{{.State.ExitCode}}', 'combined'), '0')
})

t.test('its launch policy is its own', async t => {
  const labels = JSON.parse(await podman('inspect', '--type', 'image', '--format', '{{json .Labels}}', IMAGE)) as Record<string, string>
  t.equal(labels['tee.launch_policy.allow_env_override'], 'POLARIS_CONTAINER_LOG_LEVEL')
  t.equal(labels['tee.launch_policy.allow_cmd_override'], 'false')
})
