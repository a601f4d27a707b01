/** The process refuses to start with a configuration it cannot use, and says at start what protects its clients. */
import t from 'tap'
import { freePort, run, startServer, untilReady } from '../fixtures/process.ts'

t.test('a configuration that cannot be used ends the process before it listens, with one message', async t => {
  const server = run(t, ['server.ts'], {
    PORT: 'hunter2',
    POLARIS_CONTAINER_WORKLOAD_HEADERS_TIMEOUT: 'hunter2',
    POLARIS_CONTAINER_LOG_LEVEL: 'hunter2'
  })
  t.equal(await server.exit, 1)
  t.same(server.lines, [], 'nothing was logged, nothing listened')
  const lines = server.stderr().trimEnd().split('\n')
  t.equal(lines[0], 'The configuration cannot be used:')
  t.equal(lines.length, 5, server.stderr())
  for (const name of [
    'POLARIS_CONTAINER_WORKLOAD_BASE_URL', 'PORT', 'POLARIS_CONTAINER_WORKLOAD_HEADERS_TIMEOUT',
    'POLARIS_CONTAINER_LOG_LEVEL'
  ]) {
    t.ok(lines.some(line => line.startsWith(`  - ${name} `)), name)
  }
  t.notMatch(server.stderr(), 'hunter2')
})

t.test('the log begins with the protections and a warning for each weakness and each unknown variable', async t => {
  const server = await startServer(t, {
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'https://127.0.0.1:9',
    POLARIS_CONTAINER_WORKLOAD_TLS_VERIFY: 'false',
    POLARIS_CONTAINER_CONTEXT_ROTO: 'hunter2'
  })
  const log = server.lines.map(line => JSON.parse(line) as { level: number, msg: string, protections?: unknown })
  t.match(
    log.filter(({ protections }) => protections),
    [{ protections: { input: 'plaintext accepted', workloadTls: 'not verified' } }], 'one line'
  )
  const warnings = log.filter(({ level }) => level === 40).map(({ msg }) => msg)
  t.equal(warnings.length, 3, warnings.join('\n'))
  t.match(
    warnings.join('\n'),
    /POLARIS_CONTAINER_CONTEXT_ROTO is not a setting; did you mean POLARIS_CONTAINER_CONTEXT_ROOT\?/
  )
  t.match(warnings.join('\n'), /Plaintext requests are accepted/)
  t.match(warnings.join('\n'), /certificate is not verified/)
  t.notMatch(server.lines.join('\n'), 'hunter2')
})

t.test('ENABLE_LOGGING=false silences the log', async t => {
  const port = await freePort()
  const server = run(t, ['server.ts'], {
    PORT: String(port),
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9',
    POLARIS_CONTAINER_ENABLE_LOGGING: 'false'
  })
  await untilReady(`http://127.0.0.1:${port}`)
  server.child.kill('SIGTERM')
  t.equal(await server.exit, 0)
  t.same(server.lines, [])
})

t.test('an address that is taken ends the process', async t => {
  const first = await startServer(t, { POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9' })
  const second = run(
    t, ['server.ts'], { POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9', PORT: String(first.port) }
  )
  t.equal(await second.exit, 1)
  t.same(second.stderr().trimEnd().split('\n'), [
    'The configuration cannot be used:', `  - PORT: port ${first.port} is in use (EADDRINUSE)`
  ])
  t.notMatch(second.lines.join('\n'), /unexpected/)
})
