// container.test.ts runs the encrypted composition. Here: that the other one differs in nothing but encryption, and
// that neither says anything that the suite does not run.
import t from 'tap'
import { settings } from '../lib/config/settings.ts'
import { compositions, readCompose, runOptions } from './fixtures/compose.ts'
import { address, createNetwork, ready, start } from './fixtures/podman.ts'

t.test('both compositions are the same but for encryption', async t => {
  const [encrypted, unencrypted] = compositions.map(readCompose)
  for (const name of ['POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION', 'POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION']) {
    t.equal(encrypted?.services.proxy.environment[name], 'true')
    t.equal(unencrypted?.services.proxy.environment[name], 'false')
    delete encrypted?.services.proxy.environment[name]
    delete unencrypted?.services.proxy.environment[name]
  }
  t.same(encrypted, unencrypted)
})

for (const name of compositions) {
  const { services, networks } = readCompose(name)
  t.test(`${name}: only the proxy can be reached from outside, and only it reaches the workload`, async t => {
    t.same(Object.keys(services), ['proxy', 'workload'])
    t.same(services.proxy.ports, ['3000:3000'])
    t.equal(services.workload.ports, undefined)
    t.same(services.workload.networks.map(network => networks[network]), [{ internal: true }])
    t.equal(
      services.proxy.environment['POLARIS_CONTAINER_WORKLOAD_BASE_URL'],
      `http://workload:${services.workload.environment['PORT']}`
    )
  })

  t.test(`${name}: every field and every setting is known`, async t => {
    for (const service of Object.values(services)) t.doesNotThrow(() => runOptions(service))
    const known = new Set<string>(Object.values(settings).map(({ env }) => env))
    t.same(Object.keys(services.proxy.environment).filter(setting => !known.has(setting)), [])
  })
}

t.test('the unencrypted composition forwards in clear', async t => {
  const { proxy, workload } = readCompose('unencrypted').services
  await createNetwork(t, 'polaris-clear')
  await start(t, 'workload', ['--network', 'polaris-clear', ...runOptions(workload)])
  await start(t, 'proxy', ['--network', 'polaris-clear', ...runOptions(proxy)])
  const url = `http://${await address('proxy', 'polaris-clear')}:3000`
  await ready(`${url}/hello`, 'proxy')
  t.match(await (await fetch(`${url}/hello?name=Ada`)).json(), { greeting: 'Hello, Ada' })
})
