/** The named formats of settings: each in words, and as a test that takes time in proportion to the text. */
import { isIP } from 'node:net'
import { parseWorkloadAddress } from '../../workload/address.ts'
import { parseListenAddress } from './listen-address.ts'

const AUTHORITY = /^(?:[\w.~-]+|\[[\da-fA-F:]+\])(?::\d{1,5})?$/

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const DURATION = /^(\d{1,9})(ms|s|m|h|d)?$/

/** Text such as `30s`, `5m`, `24h` or `500` (milliseconds) as milliseconds; NaN where it is none. */
export function parseDuration (text: string): number {
  const [, digits, unit = 'ms'] = DURATION.exec(text) ?? []
  return digits === undefined ? NaN : Number(digits) * (units[unit] ?? NaN)
}

/** How streams are shaped: a piece at each interval, in milliseconds, whose length is a multiple of a size. */
export interface Shaping {
  readonly interval: number
  readonly size: number
}

/** Text such as `100ms,256`; undefined if it is none, or `off`. */
export function parseShaping (text: string): Shaping | undefined {
  const [time = '', bytes = '', ...rest] = text.split(',').map(part => part.trim())
  const shaping = { interval: parseDuration(time), size: Number(bytes) }
  const isWithin = shaping.interval >= 10 && shaping.interval <= 60_000 && shaping.size >= 16 && shaping.size <= 16_384
  return isWithin && /^\d+$/.test(bytes) && rest.length === 0 ? shaping : undefined
}

export interface Format {
  /** What is accepted, in words. */
  readonly accepts: string
  readonly test: (text: string) => boolean
  /** Why a value is refused, if there is more to say. Never quotes it. */
  readonly why?: (text: string) => string | undefined
}

/** The named formats that `format` refers to. */
export const formats = {
  'http-url': {
    accepts: 'an absolute http:// or https:// URL without credentials, query or fragment',
    test: (text: string) => isBaseUrl(URL.parse(text), text)
  },
  'workload-url': {
    accepts: 'an absolute http://, https:// or h2c:// URL without credentials, query or fragment',
    test: (text: string) => isBaseUrl(parseWorkloadAddress(text)?.url ?? null, text)
  },
  duration: {
    accepts: 'a number with a unit, `500ms`, `30s`, `5m`, `24h`, `7d`; `0`; without a unit, milliseconds from `1000`',
    test: (text: string) => isTimer(text) && !isBare(text),
    why: (text: string) =>
      isBare(text) ? 'without a unit these are milliseconds, which is probably not what you mean' : undefined
  },
  milliseconds: {
    accepts: 'a number with a unit, `500ms`, `30s`, `5m`; without one, milliseconds',
    test: isTimer
  },
  'replay-window': {
    accepts: 'a number with a unit, from `1s` to `24h`',
    test: (text: string) => parseDuration(text) >= 1000 && parseDuration(text) <= 86_400_000,
    why: (text: string) => parseDuration(text) < 1000 ? 'no client\'s clock is that close to the proxy\'s' : undefined
  },
  address: {
    accepts: 'an IP address or a host name of this machine, such as `127.0.0.1`, `::1`, `localhost`',
    test: (text: string) => isIP(text.replace(/^\[(.*)\]$/, '$1')) !== 0 || /^(?=.*[a-zA-Z])[\w.-]{1,253}$/.test(text)
  },
  'listen-address': {
    accepts: 'an IP address with a port, such as `127.0.0.1:9464` or `[::1]:9464`, or the path of a Unix socket, ' +
      '`unix:/run/polaris/admin.sock`',
    test: (text: string) => parseListenAddress(text) !== undefined
  },
  port: {
    accepts: 'an integer from 0 to 65535, or `off`',
    test: (text: string) => text === 'off' || (/^\d{1,5}$/.test(text) && Number(text) <= 65535)
  },
  'tls-names': {
    accepts: 'a comma-separated list of at most 32 DNS names, such as `api.example.com` or `*.example.com`, and IP ' +
      'addresses',
    test: (text: string) => text.split(',').length <= 32 && text.split(',').every(part => isTlsName(part.trim()))
  },
  'acme-directory': {
    accepts: 'an absolute https:// URL without credentials or fragment',
    test: (text: string) => {
      const url = URL.parse(text)
      return url?.protocol === 'https:' && url.username === '' && url.password === '' && !text.includes('#')
    }
  },
  'acme-name': {
    accepts: 'at most 256 printable ASCII characters without spaces',
    test: (text: string) => /^[!-~]{1,256}$/.test(text)
  },
  email: {
    accepts: 'one e-mail address',
    test: (text: string) => text.length <= 254 && /^[\w!#$%&'*+/=?^`{|}~.-]{1,64}@[a-z\d.-]{1,189}$/i.test(text)
  },
  'tls-rotation': {
    accepts: 'a number with a unit, from `1s` to `24d`',
    test: (text: string) => parseDuration(text) >= 1000 && isTimer(text)
  },
  audience: {
    accepts: 'text, and none of Google\'s own audiences (googleapis.com)',
    test: (text: string) => !/googleapis\.com/i.test(text)
  },
  'device-source': {
    accepts: 'an http:// or https:// URL without credentials or fragment, or a command: a program and its arguments, ' +
      'separated by spaces, without quotes',
    test: (text: string) => /^https?:/i.test(text)
      ? isServiceUrl(text)
      : !SHELL_SYNTAX.test(text) && !text.startsWith('{'),
    why: (text: string) => SHELL_SYNTAX.test(text) && !/^https?:/i.test(text)
      ? 'there is no shell to understand quotes, variables or redirections: name a script'
      : undefined
  },
  'header-name': {
    accepts: 'a header name',
    test: (text: string) => /^[\w!#$%&'*+.^`|~-]{1,64}$/.test(text)
  },
  'path-prefix': {
    accepts: 'a path such as `/proxy`, or nothing',
    // Piece by piece: one pattern for all of it takes exponential time.
    test: (text: string) => /^\/?$/.test(text) || text.replace(/^\//, '').replace(/\/$/, '').split('/').every(isSegment)
  },
  'trust-proxy': {
    accepts: '`true` (everyone), `false` (no one), or a comma-separated list of addresses and CIDR ranges',
    test: (text: string) => text === 'true' || text === 'false' || text.split(',').every(part => isRange(part.trim()))
  },
  authorities: {
    accepts: 'a comma-separated list of hosts, each with its port if it is not the default',
    test: (text: string) => text === '' || text.split(',').every(part => AUTHORITY.test(part.trim()))
  },
  padding: {
    accepts: '`off`, or a number of bytes from 16 to 1048576',
    test: (text: string) => text === 'off' || (/^\d{1,7}$/.test(text) && Number(text) >= 16 && Number(text) <= 2 ** 20)
  },
  shaping: {
    accepts: '`off`, or an interval from `10ms` to `60s` and a number of bytes from 16 to 16384, such as `100ms,256`',
    test: (text: string) => text === 'off' || parseShaping(text) !== undefined
  },
  'replay-store': {
    accepts: '`memory`, or a `redis://` or `rediss://` URL; several, separated by commas, for nodes of a cluster; ' +
      '`redis-sentinel://host:26379/NAME` or `rediss-sentinel://…`, one or several, for Sentinels that know the ' +
      'primary as NAME',
    test: (text: string) => text === 'memory' || isRedis(text.split(',').map(part => URL.parse(part.trim())))
  },
  sha256: {
    accepts: '64 hexadecimal digits',
    test: (text: string) => /^[\da-f]{64}$/i.test(text)
  },
  'key-versions': {
    accepts: 'one version, or several separated by commas, newest first',
    test: (text: string) => text.split(',').every(part => /^[\w-]{1,64}$/.test(part.trim()))
  },
  workers: {
    accepts: 'a number from 1 to 256, or `auto` for one per core',
    test: (text: string) => text === 'auto' || (/^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= 256)
  },
  'cors-origin': {
    accepts: '`*`, or a comma-separated list of origins such as `https://app.example.com`',
    test: (text: string) => text === '*' || text.split(',').map(part => part.trim()).every(isOrigin),
    why: (text: string) =>
      text !== '*' && text.includes('*') ? 'patterns are not supported, list each origin' : undefined
  }
} as const satisfies Record<string, Format>

function isBaseUrl (url: URL | null, text: string): boolean {
  return url !== null && /^https?:$/.test(url.protocol) && url.host !== '' &&
    url.username === '' && url.password === '' && url.search === '' && url.hash === '' && !text.endsWith('?')
}

/** What means something to a shell, and control characters other than the white space between words. */
const SHELL_SYNTAX = /["'`$\\|&;<>()*?[\]#~!]|[^\P{Cc}\t]/u

function isServiceUrl (text: string): boolean {
  const url = URL.parse(text.replaceAll('{nonce}', '0'))
  return url !== null && url.host !== '' && url.username === '' && url.password === '' && url.hash === '' &&
    /^https?:\/\//.test(text)
}

/** An address, or a range of them in CIDR notation. */
function isRange (text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

/** A host name that certificates can hold (RFC 5280, section 4.2.1.6), with a wildcard in front or without. */
function isTlsName (text: string): boolean {
  return isIP(text) !== 0 || (text.length <= 253 && text.replace(/^\*\./, '').split('.').every(isLabel))
}

function isLabel (text: string): boolean {
  return /^[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/i.test(text)
}

/** setTimeout fires at once beyond 2^31 - 1 ms. */
function isTimer (text: string): boolean {
  return parseDuration(text) < 2 ** 31
}

/** So few milliseconds, and without a unit, that seconds are meant. */
function isBare (text: string): boolean {
  return /^\d+$/.test(text) && Number(text) > 0 && Number(text) < 1000
}

function isOrigin (text: string): boolean {
  return !text.includes('*') && URL.parse(text)?.origin === text
}

function isSegment (text: string): boolean {
  return /^[\w.~-]+$/.test(text) && text !== '.' && text !== '..'
}

/** URLs of one kind, with the number of a database or the name that Sentinels need. */
function isRedis (urls: readonly (URL | null)[]): boolean {
  const [first] = urls
  return urls.every(url => url !== null && /^rediss?(?:-sentinel)?:$/.test(url.protocol) &&
    url.protocol === first?.protocol &&
    url.hostname !== '' &&
    (url.protocol.includes('sentinel') ? url.pathname.length > 1 : /^\/?\d*$/.test(url.pathname)))
}
