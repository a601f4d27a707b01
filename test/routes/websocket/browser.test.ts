/** A page opens a WebSocket through the proxy, in each browser that is installed. */
import t from 'tap'
import { browsersFor } from '../../fixtures/browsers.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { startSocketWorkload, wsUrl } from '../../fixtures/websockets.ts'

for (const { name, absent, open } of browsersFor(t)) {
  t.test(`${name}: messages come back, and a stop is seen as 1012`, { skip: absent, timeout: 120_000 }, async t => {
    const workload = await startSocketWorkload(t)
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
    const { page } = await open(t, proxy.url)
    const answers = page.evaluate(address => new Promise<unknown[]>((resolve, reject) => {
      const socket = new WebSocket(address, ['chat'])
      const seen: unknown[] = []
      socket.binaryType = 'arraybuffer'
      socket.onopen = () => socket.send('κόσμε')
      socket.onerror = () => reject(new Error('the WebSocket failed'))
      socket.onmessage = ({ data }) => {
        if (typeof data === 'string') {
          seen.push(data, socket.protocol)
          socket.send(new Uint8Array(100_000))
        } else {
          seen.push((data as ArrayBuffer).byteLength)
          Reflect.set(globalThis, 'echoed', true)
        }
      }
      socket.onclose = ({ code, wasClean }) => resolve([...seen, code, wasClean])
    }), wsUrl(proxy, '/live'))
    await page.waitForFunction(() => 'echoed' in globalThis)
    const stopped = proxy.close()
    t.same(await answers, ['κόσμε', 'chat', 100_000, 1012, true])
    await stopped
    t.match(workload.handshakes[0]?.headers.origin, proxy.url)
  })
}
