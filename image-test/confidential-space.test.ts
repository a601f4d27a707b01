// The combined image of examples/confidential-space: proxy and workload in one container.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { address, createNetwork, evaluate, podman, ready, start } from './fixtures/podman.ts'

const run = promisify(execFile)
const project = new URL('..', import.meta.url).pathname
const IMAGE = 'localhost/polaris-confidential-space:local'

await run('buildah', [
  'build', '--isolation', 'chroot', '--ignorefile', '/dev/null',
  '--build-arg', 'PROXY_IMAGE=localhost/polaris-secure-proxy:local',
  '--file', 'examples/confidential-space/Dockerfile', '--tag', IMAGE, project
], { maxBuffer: 2 ** 26, cwd: project })
await createNetwork(t, 'polaris-combined')

async function startCombined (t: Parameters<typeof start>[0]) {
  await start(t, 'combined', [
    '--network', 'polaris-combined', '--read-only', '--read-only-tmpfs=false', '--cap-drop', 'ALL',
    // Of those that containerd gives by default: what it takes to start a process as another user, and to end it.
    '--cap-add', 'SETUID,SETGID,KILL', '--security-opt', 'no-new-privileges', '--stop-timeout', '40', IMAGE
  ])
  const url = `http://${await address('combined', 'polaris-combined')}:3000`
  await ready(`${url}/polaris-container/readyz`, 'combined')
  return url
}

t.test('it serves encrypted exchanges without any setting, and the workload is not to be reached', async t => {
  const url = await startCombined(t)
  const { stdout } = await run(
    process.execPath, ['examples/client/client.ts'], { cwd: project, env: { ...process.env, PROXY_URL: url } }
  )
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
  const labels = JSON.parse(
    await podman('inspect', '--type', 'image', '--format', '{{json .Labels}}', IMAGE)
  ) as Record<string, string>
  t.equal(labels['tee.launch_policy.allow_env_override'], 'POLARIS_CONTAINER_LOG_LEVEL')
  t.equal(labels['tee.launch_policy.allow_cmd_override'], 'false')
})

t.test('the workload is another user, who can neither signal the proxy nor read anything of it', async t => {
  await startCombined(t)
  const script = `
    import { readFileSync, readdirSync } from 'node:fs'
    const found = []
    for (const pid of readdirSync('/proc').filter(Number)) {
      const words = readFileSync('/proc/' + pid + '/cmdline', 'utf8').split('\\0').filter(Boolean)
      const [, uid] = /^Uid:\\t(\\d+)/m.exec(readFileSync('/proc/' + pid + '/status', 'utf8'))
      found.push({ pid: Number(pid), command: words.at(-1), uid: Number(uid), protected: words.includes('--disable-sigusr1') })
    }
    console.log(JSON.stringify(found.filter(({ command }) => /^(?:\\/workload\\/start.mjs|server.m?[jt]s)$/.test(command))))
  `
  const processes = JSON.parse(await evaluate('combined', script)) as {
    pid: number, command: string, uid: number, protected: boolean
  }[]
  t.match(processes.sort((a, b) => a.pid - b.pid), [
    { command: '/workload/start.mjs', uid: 0, protected: true },
    { command: 'server.mjs', uid: 65532, protected: true },
    { command: 'server.ts', uid: 0, protected: true }
  ])
  const proxy = processes.find(({ command }) => command === 'server.ts')?.pid
  const attempts =
    JSON.parse(await podman('exec', '--user', '65532:65532', 'combined', '/nodejs/bin/node', '--input-type=module', '--eval', `
    import { readFileSync, openSync } from 'node:fs'
    const attempt = what => { try { what(); return 'done' } catch ({ code }) { return code } }
    console.log(JSON.stringify([
      attempt(() => process.kill(${proxy}, 'SIGUSR1')),
      attempt(() => readFileSync('/proc/${proxy}/environ')),
      attempt(() => openSync('/proc/${proxy}/mem', 'r')),
    ]))
  `)) as string[]
  t.same(attempts, ['EPERM', 'EACCES', 'EACCES'])
})

t.test('a signal opens no inspector in any of its processes', async t => {
  const url = await startCombined(t)
  await evaluate('combined', `
    import { readdirSync, readFileSync } from 'node:fs'
    for (const pid of readdirSync('/proc').filter(Number)) {
      if (Number(pid) !== process.pid && readFileSync('/proc/' + pid + '/cmdline', 'utf8').includes('node')) process.kill(Number(pid), 'SIGUSR1')
    }
  `)
  t.equal((await fetch(`${url}/polaris-container/readyz`)).status, 200)
  t.notMatch(await podman('logs', 'combined'), /Debugger listening/)
})
