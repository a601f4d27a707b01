/** Serves the chat, bundled, from an origin of its own, with the settings that an application has from its operator. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { AttestationPolicy } from '../../sdk/index.ts'

export interface ChatSettings {
  /** Where the proxy is. */
  readonly baseURL: string
  /** What the proxy has to prove. In an application it is part of the source, and reviewed. */
  readonly policy: AttestationPolicy
  /** How long a proof counts, in seconds. */
  readonly maxAge?: number
}

export interface Site {
  /** A browser counts http://localhost as secure, so that it has Web Crypto. */
  readonly url: string
  close (): Promise<void>
}

export async function startSite (settings: ChatSettings): Promise<Site> {
  const here = import.meta.dirname
  const { outputFiles } = await build({
    entryPoints: { chat: join(here, 'chat.jsx') },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    outdir: '/',
    write: false
  })
  const files = new Map<string, { type: string, content: Uint8Array | string }>([
    ['/', { type: 'text/html; charset=utf-8', content: await readFile(join(here, 'index.html')) }],
    ['/settings.json', { type: 'application/json', content: JSON.stringify(settings) }],
    ...outputFiles.map(({ path, contents }) => [path, { type: 'text/javascript', content: contents }] as const)
  ])
  const server = createServer((request, response) => {
    const file = files.get(new URL(request.url ?? '/', 'http://localhost').pathname)
    if (file === undefined) response.writeHead(404).end()
    else response.setHeader('content-type', file.type).end(file.content)
  })
  server.listen(0, 'localhost')
  await once(server, 'listening')
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    async close () {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
  }
}
