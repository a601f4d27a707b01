// The image at work, as examples/compose/encrypted has it: unprivileged, on a read-only root, the workload in a second
// container on a network of their own, a real client outside.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import axios from 'axios'
import t from 'tap'
import type { Test } from 'tap'
import {
  EphemeralKeyHandler, PolarisSDK, createAxiosRequestInterceptor, createAxiosResponseInterceptor
} from '@polaris-secure-proxy/sdk'
import { readCompose, runOptions } from './fixtures/compose.ts'
import { startComposition } from './fixtures/composition.ts'
import { evaluate, podman } from './fixtures/podman.ts'

const run = promisify(execFile)
const composition = await startComposition(t, 'polaris-inside')

/** A proxy, and a client of the legacy protocol that encrypts to it. */
async function startProxy (t: Test) {
  const url = await composition.startProxy(t)
  const polarisSDK = new PolarisSDK(new EphemeralKeyHandler())
  const client = axios.create({ baseURL: url, validateStatus: null })
  client.interceptors.request.use(createAxiosRequestInterceptor({ polarisSDK }))
  client.interceptors.response.use(createAxiosResponseInterceptor({ polarisSDK }))
  return { url, client }
}

t.test('encrypted exchanges pass through it, and nothing else does', async t => {
  const { url, client } = await startProxy(t)

  const hello = await client.get('/hello', { params: { name: 'Ada' }, headers: { authorization: 'Bearer secret' } })
  t.equal(hello.status, 200)
  t.same(hello.data, { greeting: 'Hello, Ada', authorization: 'Bearer secret' })

  const body = new Uint8Array(1 << 20).map((_, index) => index * 31)
  const echo = await client.post(
    '/echo', body, { responseType: 'arraybuffer', headers: { 'content-type': 'application/octet-stream' } }
  )
  t.equal(Buffer.compare(Buffer.from(echo.data as ArrayBuffer), body), 0)

  const clear = await fetch(`${url}/hello?name=Ada`)
  t.equal(clear.status, 400)
  t.match(await clear.json(), { type: /encryption-required/ })

  const logs = await podman('logs', 'proxy')
  t.notMatch(logs, /Ada|Bearer|secret/)
})

t.test('the example client, run by hand, gets its answers', async t => {
  const { url } = await startProxy(t)
  const { stdout } = await run(
    process.execPath, ['examples/client/client.ts'], { env: { ...process.env, PROXY_URL: url } }
  )
  t.match(stdout, /^GET \/hello: 200 .*Hello, Ada/s)
  t.match(stdout, /POST \/echo: 200/)
})

t.test('the health check passes while it is alive, and fails where nobody listens', async t => {
  await startProxy(t)
  t.equal(await podman('healthcheck', 'run', 'proxy'), '')
  await t.rejects(podman('exec', '--env', 'PORT=3009', 'proxy', '/nodejs/bin/node', 'healthcheck.ts'), { code: 1 })
})

t.test('it cannot write anywhere, has no capability and cannot gain any', async t => {
  await startProxy(t)
  const found = JSON.parse(await evaluate('proxy', `
    import { accessSync, constants, mkdtempSync, readFileSync, readdirSync } from 'node:fs'
    const directories = ['/']
    for (const directory of directories) {
      let entries = []
      try { entries = readdirSync(directory, { withFileTypes: true }) } catch { continue }
      for (const entry of entries) {
        if (entry.isDirectory() && !/^.(proc|sys)$/.test(directory + entry.name)) directories.push(directory.replace(/.$/, '$&/').replace('//', '/') + entry.name)
      }
    }
    const writable = directories.filter(directory => { try { mkdtempSync(directory + '/x'); return true } catch { return false } })
    const status = readFileSync('/proc/self/status', 'utf8')
    console.log(JSON.stringify({ uid: process.getuid(), gid: process.getgid(), groups: process.getgroups(), directories: directories.length, writable,
      capabilities: status.match(/^Cap(Prm|Eff|Bnd).*/gm), noNewPrivileges: /^NoNewPrivs:\\t1$/m.test(status), seccomp: /^Seccomp:\\t2$/m.test(status) }))
  `)) as Record<string, unknown>
  t.ok(Number(found['directories']) > 1000)
  t.same(found['writable'], ['/dev/shm'], 'only shared memory, which is no file of the image')
  t.same([found['uid'], found['gid']], [65532, 65532])
  t.same(found['capabilities'], ['Prm', 'Eff', 'Bnd'].map(name => `Cap${name}:\t0000000000000000`))
  t.equal(found['noNewPrivileges'], true)
  t.equal(found['seccomp'], true)
})

t.test('as process 1, it ends on SIGTERM: what is in flight finishes, then it exits with 0', async t => {
  const { client } = await startProxy(t)
  const slow = client.get('/slow', { params: { ms: 2000 } })
  // It is in flight once the proxy has a connection to the workload's port (0xBB9) in state established (1).
  await evaluate('proxy', `
    import { readFileSync } from 'node:fs'
    import { setTimeout as sleep } from 'node:timers/promises'
    while (!/^ *\\d+: [\\dA-F]+:[\\dA-F]+ [\\dA-F]+:0BB9 01 /m.test(readFileSync('/proc/net/tcp', 'utf8'))) await sleep(10)
  `)
  await podman('stop', 'proxy')
  const response = await slow
  t.equal(response.status, 200)
  t.same(response.data, { slow: true })
  // 137 would be the SIGKILL that follows at the end of the grace period.
  t.equal(await podman('inspect', '--format', '{{.State.ExitCode}}', 'proxy'), '0')
})

t.test('it stays within its memory limit under load: it answers or refuses every request, and is never ' +
  'killed', async t => {
  const { url, client } = await startProxy(t)
  const body = Buffer.alloc(8 << 20, 7)
  const answers: (number | string | undefined)[] = []
  for (let round = 0; round < 3; round++) {
    answers.push(...await Promise.all(Array.from({ length: 12 }, async () => {
      try {
        const { status, data } = await client.post(
          '/echo', body, { responseType: 'arraybuffer', headers: { 'content-type': 'application/octet-stream' } }
        )
        return body.equals(Buffer.from(data as ArrayBuffer)) ? status : 'another body'
      } catch (error) {
        const { response, code } = error as { response?: { status: number }, code?: string }
        return response?.status ?? code
      }
    })))
  }
  t.comment(`answers: ${JSON.stringify(
    Object.fromEntries([...new Set(answers)].map(answer => [answer, answers.filter(other => other === answer).length]))
  )}`)
  t.ok(answers.includes(200))
  t.same(answers.filter(answer => answer !== 200 && answer !== 503), [])
  const refused = (await podman('logs', 'proxy')).split('\n').filter(line => line.includes('"request refused"'))
  t.same(refused.filter(line => !line.includes('"problem":"overloaded"')), [])
  t.equal(refused.length, answers.filter(answer => answer !== 200).length)

  const { limit, kills } = JSON.parse(await evaluate('proxy', `
    import { existsSync, readFileSync } from 'node:fs'
    // Of cgroups of version 2, and of version 1.
    const events = ['/sys/fs/cgroup/memory.events', '/sys/fs/cgroup/memory/memory.oom_control'].find(existsSync)
    console.log(JSON.stringify({ limit: process.constrainedMemory(), kills: events && /^oom_kill (\\d+)$/m.exec(readFileSync(events, 'utf8'))?.[1] }))
  `)) as { limit: number, kills?: string }
  t.comment(`memory: ${await podman('stats', '--no-stream', '--format', '{{.MemUsage}}', 'proxy')}`)
  t.equal(limit, 512 * 2 ** 20)
  t.equal(kills, '0', 'the kernel killed nothing in it')
  t.equal(
    await podman('inspect', '--format', '{{.State.OOMKilled}} {{.State.Running}} {{.RestartCount}}', 'proxy'),
    'false true 0'
  )
  t.equal((await fetch(`${url}/polaris-container/health`)).status, 200)
  t.equal((await client.get('/hello')).status, 200)
})

t.test('a configuration that cannot be used ends it at once, with 1 and a message', async t => {
  const { proxy } = readCompose('encrypted').services
  const broken = { ...proxy, environment: { ...proxy.environment, POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'nowhere' } }
  await t.rejects(podman('run', '--rm', '--network', 'none', ...runOptions(broken)), {
    code: 1,
    stderr: /POLARIS_CONTAINER_WORKLOAD_BASE_URL/
  })
})
