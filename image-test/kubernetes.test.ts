// The pod of examples/kubernetes, as podman understands it: both containers share one network, as in a cluster.
import t from 'tap'
import { createPolarisFetch } from '@polaris-secure-proxy/sdk'
import { address, createNetwork, evaluate, podman } from './fixtures/podman.ts'
import { podmanDeployment, startPod } from './fixtures/pods.ts'

t.test('the Deployment runs: the proxy is ready, the workload answers through it, and not without it', async t => {
  await createNetwork(t, 'polaris-pod')
  const pod = await startPod(t, podmanDeployment(), { name: 'polaris', network: 'polaris-pod' })
  const [proxy, workload] = [pod.container('proxy'), pod.container('workload')]

  const inside = async (container: string, url: string) => evaluate(container, `
    import { setTimeout as sleep } from 'node:timers/promises'
    for (let attempt = 0; attempt < 300; attempt++) {
      try {
        const response = await fetch(${JSON.stringify(url)})
        if (response.status !== 503) {
          console.log(response.status, await response.text())
          break
        }
      } catch (error) {
        if (attempt === 299) throw error
      }
      await sleep(50)
    }
  `)
  t.equal(await inside(proxy, 'http://127.0.0.1:3000/polaris-container/readyz'), '200 {"status":"ok"}')
  t.match(
    await inside(workload, 'http://127.0.0.1:3000/hello?name=Ada'), /^400 .*encryption-required/,
    'nothing passes unencrypted'
  )
  const [infra = ''] = (await podman('pod', 'ps', '--format', '{{.InfraId}}')).split('\n')
  const url = `http://${await address(infra, 'polaris-pod')}:3000`
  t.match(
    await (await createPolarisFetch({ baseURL: url })(`${url}/hello?name=Ada`)).json(), { greeting: 'Hello, Ada' }
  )
  t.match(
    await podman('logs', workload), /listening on http:\/\/127\.0\.0\.1:3001/, 'which nobody outside the pod can reach'
  )

  for (const container of [proxy, workload]) {
    const format = '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.SecurityOpt}} {{.EffectiveCaps}}'
    t.equal(await podman('inspect', '--format', format, container), '65532:65532 true [no-new-privileges] []')
  }
})
