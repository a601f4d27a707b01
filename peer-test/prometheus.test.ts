/** A real Prometheus scrapes the proxy, evaluates the alerts, and knows what every panel of the dashboard asks for. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { adminOf } from '../test/fixtures/metrics.ts'
import { encapsulate, fetchKey, requestHead } from '../test/fixtures/ohttp-client.ts'
import { freePort, untilReady } from '../test/fixtures/process.ts'
import { startWorkers } from '../test/fixtures/workers.ts'
import { missing, run, startPeer, temporaryFolder } from './fixtures/peers.ts'

const example = new URL('../examples/monitoring/', import.meta.url).pathname

t.test('promtool accepts the alerts, and they fire when they should', {
  skip: missing('promtool', '--version')
}, async t => {
  t.match(run('promtool', ['check', 'rules', join(example, 'alerts.yaml')]), /SUCCESS/)
  t.match(run('promtool', ['test', 'rules', join(example, 'alerts.test.yaml')]), /SUCCESS/)
  t.match(run('promtool', ['check', 'config', join(example, 'prometheus.yaml')]), /SUCCESS/)
})

t.test('Prometheus reads all workers as one', { skip: missing('prometheus', '--version') }, async t => {
  const { server } = await startWorkers(t, { POLARIS_CONTAINER_ADMIN_ADDRESS: '127.0.0.1:0' })
  await untilReady(server.url)
  const key = await fetchKey(server.url)
  for (let i = 0; i < 6; i++) {
    const request = await encapsulate(
      key, requestHead('POST', `/${i}`), Buffer.from('inside'), { chunked: i % 2 === 0 }
    )
    const response = await fetch(
      `${server.url}/.well-known/ohttp-gateway`,
      { method: 'POST', headers: { 'content-type': request.contentType, connection: 'close' }, body: request.message }
    )
    t.equal((await request.open(response)).status, 200)
  }

  const root = temporaryFolder(t)
  const port = await freePort()
  const admin = /"address":"([^"]+)"/.exec(server.lines.find(line => line.includes('admin endpoints')) ?? '')?.[1]
  // The example's, with other addresses and more often.
  const config = readFileSync(join(example, 'prometheus.yaml'), 'utf8')
    .replaceAll('15s', '1s').replace('proxy:9464', admin ?? '').replace('alerts.yaml', join(example, 'alerts.yaml'))
  writeFileSync(join(root, 'prometheus.yaml'), config)
  const prometheus = await startPeer(t, port, 'prometheus', [
    `--config.file=${root}/prometheus.yaml`, `--storage.tsdb.path=${root}/data`,
    `--web.listen-address=127.0.0.1:${port}`, '--log.level=warn'
  ])
  while (!(await fetch(`${prometheus}/-/ready`)).ok) await setTimeout(100)
  const ask = async (path: string) => {
    const response = await fetch(prometheus + path)
    return await response.json() as {
      status: string,
      error?: string,
      data: {
        result: { metric: Record<string, string>, value: [number, string] }[],
        groups: { rules: { name: string, health: string, state: string }[] }[],
        activeTargets: { health: string, lastError: string }[]
      }
    }
  }
  const query = async (expr: string) => (await ask(`/api/v1/query?query=${encodeURIComponent(expr)}`))

  for (;;) {
    const { data: { result } } = await query('sum by (protocol) (polaris_requests_total{protocol=~"ohttp.*"})')
    const found = Object.fromEntries(result.map(({ metric, value }) => [metric['protocol'], Number(value[1])]))
    if (found['ohttp'] === 3 && found['ohttp-chunked'] === 3) break
    await setTimeout(200)
  }
  const { data: { activeTargets: [target] } } = await ask('/api/v1/targets')
  t.match(target, { health: 'up', lastError: '' })
  t.equal(
    (await query('histogram_quantile(0.5, sum by (le) (polaris_proxy_duration_seconds_bucket))')).data.result.length, 1
  )

  const { panels } = JSON.parse(
    readFileSync(join(example, 'grafana/dashboard.json'), 'utf8')
  ) as { panels: { title: string, targets?: { expr: string }[] }[] }
  for (const { title, targets = [] } of panels) {
    for (const { expr } of targets) {
      const { status, error } = await query(expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*'))
      t.equal(status, 'success', `${title}: ${error ?? ''}`)
    }
  }

  let states: { name: string, health: string, state: string }[] = []
  while (states.length === 0 || states.some(({ health }) => health === 'unknown')) {
    states = (await ask('/api/v1/rules')).data.groups.flatMap(({ rules }) => rules)
    await setTimeout(200)
  }
  t.strictSame(states.filter(({ health }) => health !== 'ok'), [])
  t.strictSame(states.filter(({ state }) => state !== 'inactive').map(({ name }) => name), [], 'all is well')

  // The scraper itself is a client that is gone when it is: nothing is left behind for it.
  t.match(await adminOf(server.lines).get('/livez'), { status: 200 })
})
