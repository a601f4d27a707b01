// A rolling update: three replicas that share their keys are replaced one after the other, as a Deployment does it,
// while clients of both protocols go on, and no exchange fails. And why the workload has to outlive the proxy.
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import axios from 'axios'
import t from 'tap'
import {
  EphemeralKeyHandler, PolarisSDK, createAxiosRequestInterceptor, createAxiosResponseInterceptor, createPolarisFetch
} from '@polaris-secure-proxy/sdk'
import { startRedis } from '../test/fixtures/redis.ts'
import { rsaKey } from '../test/fixtures/rsa.ts'
import { startBalancer } from './fixtures/balancer.ts'
import { createHostedNetwork, podman } from './fixtures/podman.ts'
import { podmanDeployment, startPod } from './fixtures/pods.ts'
import type { Pod } from './fixtures/pods.ts'

const EVENTS = 20

interface Replica { pod: Pod, ip: string }

t.test('three replicas that share their keys are replaced one after the other, under load', async t => {
  const network = await createHostedNetwork(t, 'polaris-rollout')
  /** Where replicas may be: three, and the one that is to replace one of them. */
  const addresses = [11, 12, 13, 14].map(network.address)

  const directory = mkdtempSync(join(tmpdir(), 'rollout-'))
  t.teardown(() => { rmSync(directory, { recursive: true }) })
  chmodSync(directory, 0o755)
  const keyFile = join(directory, 'key.pem')
  writeFileSync(keyFile, rsaKey(4096).privatePem, { mode: 0o400 })
  chownSync(keyFile, 65532, 65532)
  const redis = await startRedis(t, ['--bind', '127.0.0.1', network.gateway, '--protected-mode', 'no'])
  const balancer = await startBalancer(t, { address: network.gateway, port: 3000, replicas: addresses })

  const deployment = podmanDeployment()
  let started = 0

  /** @param stopDelay for how long the workload accepts requests once it is told to stop, in seconds */
  async function startReplica (ip: string, stopDelay: number): Promise<Replica> {
    const pod = await startPod(t, deployment, {
      name: `replica-${++started}`,
      network: 'polaris-rollout',
      ip,
      files: [keyFile],
      environment: {
        proxy: {
          POLARIS_CONTAINER_KEY_TYPE: 'file',
          POLARIS_CONTAINER_KEY_FILE: keyFile,
          POLARIS_CONTAINER_HPKE_SEED: 'derived',
          POLARIS_CONTAINER_REPLAY_STORE: `redis://${network.gateway}:${redis.port}`
        },
        workload: { STOP_DELAY: String(stopDelay) }
      }
    })
    await balancer.until(ip, 'UP')
    return { pod, ip }
  }

  /** Clients that make one exchange after the other until they are stopped. What fails is collected. */
  function startClients () {
    const stopped = new AbortController()
    const failures: string[] = []
    const count = { fetch: 0, axios: 0, events: 0 }
    const polarisFetch = createPolarisFetch({ baseURL: balancer.url })
    const polarisSDK = new PolarisSDK(new EphemeralKeyHandler())
    const legacy = axios.create({ baseURL: balancer.url })
    legacy.interceptors.request.use(createAxiosRequestInterceptor({ polarisSDK }))
    legacy.interceptors.response.use(createAxiosResponseInterceptor({ polarisSDK }))

    const exchanges = {
      async fetch (name: string) {
        const response = await polarisFetch(`${balancer.url}/hello?name=${name}`)
        const answer = await response.text()
        if (!answer.includes(`Hello, ${name}"`)) throw new Error(`${response.status} ${answer}`)
      },
      async axios (name: string) {
        const { data } = await legacy.post<string>('/echo', `body of ${name}`)
        if (data !== `body of ${name}`) throw new Error(`another answer: ${data}`)
      },
      // Each lasts four seconds, so that replicas are told to stop while they have some.
      async events () {
        const response = await polarisFetch(`${balancer.url}/events?count=${EVENTS}&ms=200`)
        const events = (await response.text()).match(/^data: .*$/gm) ?? []
        if (response.status !== 200 || events.length !== EVENTS) {
          throw new Error(`${response.status}, ${events.length} events`)
        }
      }
    }
    const client = async (kind: keyof typeof exchanges, pause: number) => {
      while (!stopped.signal.aborted) {
        const number = count[kind]++
        await exchanges[kind](`${kind}-${number}`).catch(
          (error: Error) => { failures.push(`${kind} ${number}: ${error.message}`) }
        )
        await sleep(pause)
      }
    }
    const all = Promise.all([
      client('fetch', 20), client('fetch', 20), client('axios', 50), client('axios', 50), client('events', 0),
      client('events', 500), client('events', 1000)
    ])
    return async () => {
      stopped.abort()
      await all
      t.comment(`exchanges: ${JSON.stringify(count)}`)
      return { failures, count }
    }
  }

  let replicas = await Promise.all(addresses.slice(0, 3).map(async ip => startReplica(ip, 0)))
  let free = addresses[3] ?? ''

  /**
   * Exchanges with a replica that was told to stop, as of a load balancer that has not heard of it yet: those that
   * fail.
   */
  async function makeLateExchanges (ip: string): Promise<string[]> {
    const baseURL = `http://${ip}:3000`
    const failures: string[] = []
    const late = createPolarisFetch({ baseURL })
    const isReady = () => fetch(`${baseURL}/polaris-container/readyz`).then(({ ok }) => ok, () => false)
    while (await isReady()) await sleep(20)
    for (const end = performance.now() + 2_000; performance.now() < end; await sleep(50)) {
      const { status } = await late(`${baseURL}/hello`).catch(({ message }: Error) => ({ status: message }))
      if (status !== 200) failures.push(`late: ${status}`)
    }
    return failures
  }

  /**
   * Starts one, and when it gets requests, stops another, until all are new: maxSurge 1, maxUnavailable 0.
   *
   * @returns what has failed at the replicas that were stopped
   */
  async function roll (
    stopDelay: number, stop: (pod: Pod) => Promise<void>, number = replicas.length
  ): Promise<string[]> {
    const failures: string[] = []
    for (const { pod, ip } of replicas.slice(0, number)) {
      const next = await startReplica(free, stopDelay)
      const [late] = await Promise.all([makeLateExchanges(ip), stop(pod)])
      failures.push(...late)
      const code = await podman('inspect', '--format', '{{.State.ExitCode}}', pod.container('proxy'))
      if (code !== '0') failures.push(`exit code ${code}`)
      pod.remove()
      await balancer.until(ip, 'DOWN')
      replicas = [...replicas.filter(replica => replica.pod !== pod), next]
      free = ip
    }
    return failures
  }

  t.test('no exchange fails when the workload is told to stop after the proxy has ended, as Kubernetes does with a ' +
    'sidecar', async t => {
    const stopClients = startClients()
    t.same(await roll(35, async pod => {
      await pod.stop('proxy')
      await pod.stop('workload')
    }), [])
    const { failures, count } = await stopClients()
    t.same(failures, [])
    t.ok(Math.min(...Object.values(count)) > 5)
  })

  t.test('no exchange fails when both are told at once, and the workload accepts for as long as the proxy may go ' +
    'on', async t => {
    const stopClients = startClients()
    // The workload would end after the 35 seconds that it was started with.
    t.same(await roll(0, async pod => Promise.race([pod.stop('workload'), pod.stop('proxy')]), 1), [])
    const { failures, count } = await stopClients()
    t.same(failures, [])
    t.ok(Math.min(...Object.values(count)) > 5)
  })

  t.test('told at once, with a workload that ends at once, exchanges fail: the others would have been noticed, ' +
    'too', async t => {
    replicas.reverse()
    // With its workload gone, podman takes the pod for stopped and sends the proxy a second signal. Until that arrives,
    // the proxy answers 502; from then on, nothing does.
    const failures = await roll(0, async pod => pod.stop('proxy', 'workload'), 1)
    t.ok(failures.some(failure => /^late: (?:502$|No response)/.test(failure)), failures.join())
  })
})
