// The pod of examples/kubernetes, as podman understands it: both containers share one network, as in a cluster.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createPolarisFetch } from '@polaris-secure-proxy/sdk'
import { address, createNetwork, evaluate, podman } from './fixtures/podman.ts'

t.test('the Deployment runs: the proxy is ready, the workload answers through it, and not without it', async t => {
  await createNetwork(t, 'polaris-pod')
  const manifest = readFileSync(new URL('../examples/kubernetes/base/deployment.yaml', import.meta.url), 'utf8')
    // What a kustomization's `images` would do.
    .replace(/image: (polaris-[\w-]+)$/gm, 'image: localhost/$1:local')
  const file = join(t.testdir(), 'deployment.yaml')
  writeFileSync(file, manifest)
  t.teardown(() => { execFileSync('podman', ['play', 'kube', '--down', file], { stdio: 'ignore' }) })
  await podman('play', 'kube', '--network', 'polaris-pod', file)

  const names = (await podman('ps', '--format', '{{.Names}}')).split('\n')
  const find = (suffix: string) => names.find(name => name.endsWith(suffix)) ?? t.fail(`no container ${suffix}`) as never
  const [proxy, workload] = [find('-proxy'), find('-workload')]

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
  t.match(await inside(workload, 'http://127.0.0.1:3000/hello?name=Ada'), /^400 .*encryption-required/, 'nothing passes unencrypted')
  const [pod = ''] = (await podman('pod', 'ps', '--format', '{{.InfraId}}')).split('\n')
  const url = `http://${await address(pod, 'polaris-pod')}:3000`
  t.match(await (await createPolarisFetch({ baseURL: url })(`${url}/hello?name=Ada`)).json(), { greeting: 'Hello, Ada' })
  t.match(await podman('logs', workload), /listening on http:\/\/127\.0\.0\.1:3001/, 'which nobody outside the pod can reach')

  for (const container of [proxy, workload]) {
    const format = '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.SecurityOpt}} {{.EffectiveCaps}}'
    t.equal(await podman('inspect', '--format', format, container), '65532:65532 true [no-new-privileges] []')
  }
})
