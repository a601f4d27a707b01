/** Preloaded into a proxy, it takes the short cut of lib/streams/arrived.ts away: nothing has ever arrived. */
import { registerHooks } from 'node:module'

registerHooks({
  load (url, context, nextLoad) {
    if (!url.endsWith('/lib/streams/arrived.ts')) return nextLoad(url, context)
    return { format: 'module', source: 'export async function arrived () { return undefined }', shortCircuit: true }
  }
})
