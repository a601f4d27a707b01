/** A tap on the wire between client and proxy: passes every octet on, and keeps what an observer sees. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

export interface Wire {
  /** Where clients connect in place of the proxy. */
  readonly url: string
  /** All that passed since the last call, each way. */
  take (): Observed
  close (): Promise<void>
}

export interface Observed {
  readonly fromClient: Buffer
  readonly fromProxy: Buffer
}

export async function startWire (proxyUrl: string): Promise<Wire> {
  const { hostname, port } = new URL(proxyUrl)
  const sockets = new Set<Socket>()
  let fromClient: Buffer[] = []
  let fromProxy: Buffer[] = []

  const server = createServer(client => {
    const proxy = connect(Number(port), hostname)
    client.on('data', octets => fromClient.push(octets))
    proxy.on('data', octets => fromProxy.push(octets))
    for (const [from, to] of [[client, proxy], [proxy, client]] as const) {
      sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      from.pipe(to)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    take () {
      const observed = { fromClient: Buffer.concat(fromClient), fromProxy: Buffer.concat(fromProxy) }
      fromClient = []
      fromProxy = []
      return observed
    },
    async close () {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    }
  }
}

/** Runs of base64 that are long enough to hide something. */
const BASE64 = /[A-Za-z0-9+/_-]{16,}/g

/** Whether an observer finds a text: as it is, percent-encoded, or in whatever is base64. */
export function occursIn (text: string, { fromClient, fromProxy }: Observed): boolean {
  return [fromClient, fromProxy].some(octets => {
    const seen = octets.toString('latin1')
    const decoded = (seen.match(BASE64) ?? []).map(run => Buffer.from(run, 'base64').toString('latin1'))
    return [seen, ...decoded].some(view => view.includes(text) || view.includes(encodeURIComponent(text)))
  })
}
