/** Oblivious HTTP, and its protection against replays. */
import { PREFIX } from './setting.ts'
import type { SettingsTable } from './setting.ts'

export const ohttp = {
  enableOhttp: {
    env: `${PREFIX}ENABLE_OHTTP`,
    type: 'boolean',
    default: true,
    shownBy: 'keys',
    description: 'Accept Oblivious HTTP, chunked and not, on any path, whatever the two settings above say.'
  },

  ohttpMaxBodyBytes: {
    env: `${PREFIX}OHTTP_MAX_BODY_BYTES`,
    type: 'integer',
    minimum: 1024,
    maximum: 64 * 2 ** 20,
    default: 8 * 2 ** 20,
    description: 'OHTTP that is not chunked: largest message in bytes, each way. EHBP: largest frame of a request. ' +
      'The proxy holds it in memory, twice while it opens or seals it. Larger requests get 413, larger responses ' +
      '502. Chunked OHTTP has no limit.'
  },

  ohttpDate: {
    env: `${PREFIX}OHTTP_DATE`,
    type: 'string',
    enum: ['required', 'optional'],
    default: 'required',
    description: 'OHTTP: whether the encrypted request needs a `Date`. `optional` is for clients that send none: ' +
      'then all requests are remembered for as long as an HPKE key lives (twice `POLARIS_CONTAINER_HPKE_ROTATION`, ' +
      'and `POLARIS_CONTAINER_HPKE_RETIREMENT`), so set `POLARIS_CONTAINER_REPLAY_CAPACITY` to the requests of that ' +
      'time.'
  },

  ohttpAllowedAuthorities: {
    env: `${PREFIX}OHTTP_ALLOWED_AUTHORITIES`,
    type: 'string',
    format: 'authorities',
    description: 'Authorities that the encrypted request may name; any other gets 421. If not set, the authority is ' +
      'ignored.'
  },

  responsePadding: {
    env: `${PREFIX}RESPONSE_PADDING`,
    type: 'string',
    format: 'padding',
    default: 'off',
    description: 'OHTTP: pad the plaintext of responses to multiples of this many bytes, so that their lengths ' +
      'reveal less. The timing and sizes of the pieces of a stream, a response without `content-length`, stay ' +
      'visible.'
  },

  streamShaping: {
    env: `${PREFIX}STREAM_SHAPING`,
    type: 'string',
    format: 'shaping',
    default: 'off',
    description: 'Chunked OHTTP and EHBP: event streams (`text/event-stream`) leave in pieces at this interval, ' +
      'filled up with comments to multiples of this many bytes, so that their sizes and times reveal less. Adds up ' +
      'to one interval of delay (docs/stream-shaping.md).'
  },

  replayWindow: {
    env: `${PREFIX}REPLAY_WINDOW`,
    type: 'string',
    format: 'replay-window',
    default: '60s',
    description: 'OHTTP: how far the `Date` in the encrypted request may be from the proxy\'s clock, either way. ' +
      'The proxy remembers requests for twice as long, so that none is forwarded twice.'
  },

  replayStore: {
    env: `${PREFIX}REPLAY_STORE`,
    type: 'string',
    format: 'replay-store',
    default: 'memory',
    description: 'OHTTP: where the proxy remembers requests. Replicas behind one address need a shared store: Redis ' +
      'or Valkey, alone, as a cluster or behind Sentinels, with `maxmemory-policy noeviction`, since requests that ' +
      'it forgets early can be replayed. Percent-encode special characters of a password. While it is down, OHTTP ' +
      'requests get 503.'
  },

  replayCapacity: {
    env: `${PREFIX}REPLAY_CAPACITY`,
    type: 'integer',
    minimum: 1000,
    maximum: 50_000_000,
    default: 1_000_000,
    description: 'OHTTP: maximum requests to remember in memory per generation (twice the replay window). Beyond ' +
      'it, requests get 503 until the generation ends. A million take about 35 MB per generation, two of which are ' +
      'kept.'
  }
} as const satisfies SettingsTable
