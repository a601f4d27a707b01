/**
 * What an operator has who can reach nothing but the log: a line of health when asked for, and a crash without data.
 */
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { run, START, startServer, untilReady } from '../fixtures/process.ts'
import { startWorkload } from '../fixtures/workload.ts'

t.test('SIGUSR2 writes a line of health, with counts if there are metrics', async t => {
  const workload = await startWorkload(t)
  for (const admin of [false, true]) {
    const server = await startServer(t, {
      POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url, ...admin && { POLARIS_CONTAINER_ADMIN_ADDRESS: '127.0.0.1:0' }
    })
    await untilReady(server.url)
    await (await fetch(`${server.url}/secret-path?secret=1`, { headers: { 'x-secret': 'secret' } })).text()
    server.child.kill('SIGUSR2')
    const line = await server.line(/"msg":"health"/)
    t.notMatch(line, /secret|127\.0\.0\.1/)
    const { health } = JSON.parse(line) as { health: Record<string, unknown> }
    t.match(health, {
      version: /^\d/,
      node: /^\d/,
      ready: true,
      uptime: Number,
      keys: { rsa: { active: 1 } },
      attestation: { failures: 0 },
      rss: Number
    })
    t.equal(typeof health['requests'], admin ? 'number' : 'undefined')
    server.child.kill('SIGTERM')
    t.equal(await server.exit, 0)
  }
})

t.test('a crash writes where it happened, and nothing of what it was about', async t => {
  const workload = await startWorkload(t)
  const crashes = {
    exception: "throw Object.assign(new TypeError('secret message'), { body: 'secret body' })",
    rejection: "Promise.reject(new Error('secret message', { cause: new Error('secret cause') }))",
    text: "throw 'secret text'"
  }
  for (const [name, code] of Object.entries(crashes)) {
    const file = `${t.testdir()}/${name}.mjs`
    writeFileSync(file, `process.on('SIGWINCH', () => { ${code} })\n`)
    const { child, line, exit, lines, stderr } = run(
      t, ['--import', `file://${file}`, ...START], { PORT: '0', POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url }
    )
    await line(/Server listening at/)
    child.kill('SIGWINCH')
    t.equal(await exit, 1, name)
    const fatal = lines.find(line => line.includes('"level":60')) ?? ''
    t.match(fatal, /stopping after an unexpected error/)
    if (name !== 'text') t.match(fatal, /\.mjs:\d/, 'with its stack')
    t.notMatch(lines.join('\n') + stderr(), /secret/)
  }
})
