/** Every example that runs by itself does so, and finds that all of it holds. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root, runScript } from '../fixtures/script.ts'

const scripts = readdirSync(join(root, 'examples'), { recursive: true, encoding: 'utf8' })
  .filter(path => /(?:^|[/\\])run\.ts$/.test(path))

t.ok(scripts.length > 0, 'there are examples')
for (const script of scripts) {
  t.test(script, async t => {
    const example = runScript(t, [join('examples', script)])
    t.equal(await example.ended, 0, example.output())
  })
}

t.test('the example client reaches the example workload through the proxy, run as the compose files run ' +
  'it', async t => {
  const workload = runScript(t, ['examples/workload/server.mjs'], { PORT: '0' })
  const [, workloadUrl] = await workload.seen(/listening on (http:\S+)/)
  const proxy = runScript(t, ['server.ts'], {
    HOST: '127.0.0.1',
    PORT: '0',
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: workloadUrl,
    POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'true',
    POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION: 'true'
  })
  const [, proxyUrl] = await proxy.seen(/listening at (http:[^"]+)/)
  await proxy.seen(/keys ready/)

  const client = runScript(t, ['examples/client/client.ts'], { PROXY_URL: proxyUrl })
  t.equal(await client.ended, 0, client.output())
  t.match(client.output(), /GET \/hello: 200 \{\s+greeting: .Hello, Ada/)
  t.match(client.output(), /POST \/echo: 200 .*only the workload sees this/)

  proxy.signal('SIGTERM')
  t.equal(await proxy.ended, 0, 'the proxy stops with grace')
})
