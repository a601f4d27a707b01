/**
 * The workload: json-server (a REST interface to a JSON document) with @tus/server (resumable uploads) mounted beside
 * it, as their own documentation shows it. Neither knows anything of the proxy.
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { IncomingMessage, RequestListener, Server as HttpServer, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileStore } from '@tus/file-store'
import { Server as TusServer } from '@tus/server'

/** The part of json-server that is used here: it brings no types. */
interface JsonServer {
  create (): ExpressApp
  defaults (options: { logger: boolean }): RequestListener[]
  router (data: object): RequestListener
}

interface ExpressApp {
  all (path: RegExp, handler: (request: IncomingMessage, response: ServerResponse) => void): void
  use (handlers: RequestListener | RequestListener[]): void
  listen (port: number, host: string): HttpServer
}

export interface Workload {
  readonly url: string
  close (): Promise<void>
}

export const seed = {
  posts: [
    { id: 1, title: 'On the Analytical Engine', author: 'ada', likes: 42 },
    { id: 2, title: 'Sketch of a compiler', author: 'grace', likes: 17 },
    { id: 3, title: 'Notes on note G', author: 'ada', likes: 99 }
  ]
}

export async function startWorkload (): Promise<Workload> {
  const jsonServer = createRequire(import.meta.url)('json-server') as JsonServer
  const directory = await mkdtemp(join(tmpdir(), 'polaris-json-server-'))
  const tus = new TusServer({ path: '/files', datastore: new FileStore({ directory }), relativeLocation: true })

  const app = jsonServer.create()
  app.all(/^\/files(\/|$)/, (request, response) => { tus.handle(request, response) })
  app.use(jsonServer.defaults({ logger: false }))
  app.use(jsonServer.router(structuredClone(seed)))

  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close () {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
      await rm(directory, { recursive: true })
    }
  }
}
