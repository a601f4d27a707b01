// Makes an encrypted exchange with the proxy at PROXY_URL, and sees that one without encryption is refused. Exits with
// 0 if both hold, with 1 and a message if not.
import { setTimeout as sleep } from 'node:timers/promises'

const { PROXY_URL, WORKLOAD_PATH = '/', SDK = './browser.js' } = process.env
const url = new URL(WORKLOAD_PATH, PROXY_URL)

/** The Service may be a moment behind the pods: tries again for a minute. */
async function patiently (attempt) {
  for (const end = performance.now() + 60_000; ; await sleep(1_000)) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > end) throw error
    }
  }
}

const { createPolarisFetch } = await import(SDK)
const polarisFetch = createPolarisFetch({ baseURL: PROXY_URL })

try {
  const sealed = await patiently(() => polarisFetch(url))
  await sealed.arrayBuffer()
  if (sealed.status >= 500) throw new Error(`the encrypted exchange was answered with ${sealed.status}`)
  console.log(`encrypted: ${sealed.status}`)

  const plain = await fetch(url)
  const { type = 'no problem' } = await plain.json()
  if (plain.status !== 400 || !type.endsWith('encryption-required')) {
    throw new Error(`the unencrypted request was not refused: ${plain.status}`)
  }
  console.log(`unencrypted: ${plain.status} ${type}`)
} catch (error) {
  console.error(`tester: ${error.message}`)
  process.exitCode = 1
}
