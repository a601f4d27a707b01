/** Requests that ask to switch to another protocol (RFC 9110, section 7.8). */
import { ServerResponse } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'

/** For the client to read an answer while it still sends. A connection closed over unread bytes would be reset. */
const LINGER = 5000

/**
 * Has them served as plain ones: no server has to switch. Left to itself, Node's parser loses what came behind such a
 * request in the same packet. So its bytes are given back to the connection, without the header. Those that `takes`
 * wants are served together with their connection, which is the request's from then on.
 */
export function serveUpgrades (server: Server, takes: (request: IncomingMessage) => boolean): void {
  const latest = new WeakMap<Duplex, ServerResponse>()
  server.on('request', ({ socket }, response) => latest.set(socket, response))

  server.on('upgrade', (request, socket, head) => {
    // The server's own listeners are gone until it has the connection again.
    socket.once('error', () => socket.destroy())
    const before = latest.get(socket)
    if (before === undefined || before.closed) serve()
    else before.once('close', () => setImmediate(serve))

    function serve (): void {
      if (socket.destroyed || !socket.writable) return
      if (takes(request)) {
        if (head.length > 0) socket.unshift(head)
        serveWithConnection(server, request, socket as Socket)
      } else {
        socket.unshift(Buffer.concat([withoutUpgrade(request), head]))
        // A connection with TLS is just a connection to a server that does not end TLS itself.
        server.emit(server instanceof TlsServer ? 'secureConnection' : 'connection', socket)
      }
    }
  })
}

/** Unless the answer is to switch, the connection ends with it. */
function serveWithConnection (server: Server, request: IncomingMessage, socket: Socket): void {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  // The server does this for its own.
  const onDrain = () => { if (!response.writableEnded) response.emit('drain') }
  socket.on('drain', onDrain)
  response.once('finish', () => {
    socket.off('drain', onDrain)
    if (response.statusCode !== 101) endConnection(socket)
  })
  server.emit('request', request, response)
}

function endConnection (socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), LINGER)
  socket.once('close', () => clearTimeout(timer)).once('end', () => socket.destroy()).resume().end()
}

function withoutUpgrade ({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== 'upgrade') lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`)
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}
