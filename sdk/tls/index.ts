/** What the SDK does with TLS of its own: for Node, where programs see the key of a connection. */
export { pinnedConnections } from './pinned.ts'
export { createTlsTransport } from './transport.ts'
export { openWebSocket } from './websocket.ts'
