/** A mistake in the options is an error that names the option and what it has to be. Nothing is sent less protected. */
import t from 'tap'
import { createPolarisFetch } from '../../../sdk/index.ts'
import type { PolarisFetchOptions } from '../../../sdk/index.ts'

const baseURL = 'https://proxy.example'
const policy = { version: 1, platforms: { 'sev-snp': { measurements: ['aa'.repeat(48)] } } } as const

const wrong: [options: unknown, message: RegExp][] = [
  [undefined, /takes an object with at least baseURL.*undefined/], [null, /takes an object.*null/],
  [[], /takes an object.*an array/],
  [baseURL, /takes an object with at least baseURL.*the string "https:\/\/proxy\.example"/],
  [{}, /^baseURL must be the URL at which the proxy is mounted; it is undefined$/],
  [{ baseUrl: baseURL }, /no option "baseUrl": did you mean baseURL\?/],
  [{ baseURL: undefined }, /^baseURL must be/], [{ baseURL: null }, /^baseURL must be/],
  [{ baseURL: 'proxy.example' }, /^baseURL must be an http or https URL.*"proxy\.example"/],
  [{ baseURL: '' }, /^baseURL must be/], [{ baseURL: 'ftp://proxy.example' }, /http or https/],
  [{ baseURL: 'https://a:b@proxy.example' }, /without credentials/],
  [{ baseURL, attestaton: policy }, /no option "attestaton": did you mean attestation\?/],
  [{ baseURL, Attestation: policy }, /did you mean attestation\?/],
  [{ baseURL, policy }, /no option "policy": there are baseURL, /],
  [{ baseURL, postquantum: 'require' }, /did you mean postQuantum\?/],
  [{ baseURL, attestation: null }, /^attestation must be a policy, or an object with a policy.*it is null$/],
  [{ baseURL, attestation: false }, /^attestation must be/], [{ baseURL, attestation: '{}' }, /^attestation must be/],
  [{ baseURL, attestation: [policy] }, /^attestation must be.*an array/],
  [{ baseURL, attestation: { policy, maxage: 60 } }, /attestation has no member "maxage": did you mean maxAge\?/],
  [{ baseURL, attestation: { polcy: policy } }, /did you mean policy\?/],
  [{ baseURL, attestation: { policy, maxAge: '60' } }, /maxAge must be a number/],
  [{ baseURL, attestation: { policy: undefined } }, /policy/],
  [{ baseURL, fetch: 'fetch' }, /^fetch must be a function/],
  [{ baseURL, dispatcher: {} }, /^dispatcher must be a dispatcher of undici/],
  [{ baseURL, keys: new Uint8Array(3) }, /^keys must be a function/],
  [{ baseURL, keyHandler: {} }, /^keyHandler must be/],
  [{ baseURL, keyHandler: '-----BEGIN PRIVATE KEY-----' }, /^keyHandler must be an object .*; it is a string$/],
  [{ baseURL, protocol: 'ohtp' }, /^protocol must be one of 'ohttp', 'polaris-v1'; it is the string "ohtp"$/],
  [{ baseURL, postQuantum: true }, /^postQuantum must be one of/],
  [{ baseURL, gatewayPath: 'gateway' }, /^gatewayPath must be a path that starts with a slash/],
  [{ baseURL, gatewayPath: 3 }, /^gatewayPath must be/],
  [{ baseURL, streamRequests: 'yes' }, /^streamRequests must be true or false/],
  [{ baseURL, clock: 'Gateway' }, /^clock must be one of/],
  [{ baseURL, attestation: policy, keys: async () => ({ octets: new Uint8Array(), maxAge: 1 }) }, /exclude each other/],
  [{ baseURL, fetch, dispatcher: { dispatch: () => true } }, /exclude each other/],
  [{ baseURL, protocol: 'polaris-v1', postQuantum: 'require' }, /not post-quantum/],
  [{ baseURL, clock: 'gateway' }, /needs attestation/]
]

for (const [options, message] of wrong) {
  t.test(`${JSON.stringify(options)} is refused: ${message.source}`, async t => {
    t.throws(() => createPolarisFetch(options as PolarisFetchOptions), { message })
    t.throws(() => createPolarisFetch(options as PolarisFetchOptions), Error)
  })
}

t.test('options that are undefined count as left out, as those that code passes on often are', async t => {
  const options = {
    baseURL,
    fetch: undefined,
    attestation: undefined,
    keys: undefined,
    protocol: undefined,
    postQuantum: undefined,
    gatewayPath: undefined,
    streamRequests: undefined,
    clock: undefined
  }
  t.type(createPolarisFetch(options as unknown as PolarisFetchOptions), 'function')
})

t.test('a URL of another realm is one', async t => {
  const { runInNewContext } = await import('node:vm')
  const foreign = runInNewContext('new URL(address)', { URL, address: baseURL }) as URL
  t.type(createPolarisFetch({ baseURL: foreign }), 'function')
})
