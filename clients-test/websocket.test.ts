/** WebSocket clients in Python and Go, through the proxy to a server in Node: as if there were no proxy. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { startProxy } from '../test/fixtures/proxy.ts'
import { echo, startSocketWorkload, wsUrl } from '../test/fixtures/websockets.ts'
import { absent, tools } from './fixtures/tools.ts'

t.setTimeout(120_000)

for (const [name, program, args] of [
  ['Python', tools.python, [join(tools.suite, 'python/with_websockets.py')]], ['Go', tools.goWebSocket, []]
] as const) {
  t.test(`${name}: messages, pings and closes come back, compressed or not`, { skip: absent(program) ?? false }, async t => {
    for (const perMessageDeflate of [false, true]) {
      const workload = await startSocketWorkload(t, echo, { perMessageDeflate })
      const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
      const { stdout } = await promisify(execFile)(program, [...args, wsUrl(proxy, '/live')], { timeout: 60_000 })
      t.equal(stdout, 'ok\n')
      t.equal(workload.handshakes[0]?.url, '/live')
    }
  })
}
