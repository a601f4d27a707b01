/** `npm run demo -- --serve`: keeps the stage up, says how to call it, and shows what reaches the workload. */
import closeWithGrace from 'close-with-grace'
import { setStage } from './stage.ts'
import type { Stage } from './stage.ts'

export async function serve (): Promise<void> {
  const stage = await setStage(({ method, target, authorization, body }) => {
    const credential = authorization === undefined ? '' : `, authorization: ${authorization}`
    console.log(`the workload received: ${method} ${target}${credential}${body === '' ? '' : `, ${body}`}`)
  })
  closeWithGrace({ delay: false, logger: false }, async ({ err }) => {
    if (err) console.error(err)
    await stage.close()
    console.log('stopped')
  })
  console.log(instructions(stage))
}

function instructions ({ proxyUrl, workload }: Stage): string {
  return `
The workload listens on  ${workload.url}
The proxy listens on     ${proxyUrl}  (both encryption flags are on)

With curl: the proxy's own endpoints

  curl ${proxyUrl}/polaris-container/health
  curl ${proxyUrl}/polaris-container/readyz
  curl ${proxyUrl}/polaris-container/publicKey

With curl: an unencrypted request, which is refused

  curl -i ${proxyUrl}/records

With the SDK: an encrypted request from the command line (examples/demo/call.ts)

  npx node examples/demo/call.ts ${proxyUrl} '/records?patient=4711'
  npx node examples/demo/call.ts ${proxyUrl} /records '{"name":"Charles Babbage"}'

With the SDK: in your own code

  import { createPolarisFetch } from '@polaris-secure-proxy/sdk'

  const fetch = createPolarisFetch({ baseURL: '${proxyUrl}' })
  console.log(await (await fetch('/records?patient=4711')).json())

Ready. Ctrl-C ends it.
`.trim()
}
