/** Request targets (RFC 9112, section 3.2): what the proxy forwards, byte for byte, and what it keeps to itself. */
import { Problem } from './problems.ts'

/** The proxy's own endpoints are at and below this path. */
export const SYSTEM_PREFIX = '/polaris-container'

const ORIGIN_FORM = /^\/[\x21-\x7e]*$/

/**
 * The origin-form (section 3.2.1) of a target: byte for byte, but for a fragment, which does not belong on the wire.
 *
 * @throws {Problem} bad-request
 */
export function originForm (target: string): string {
  const hash = target.indexOf('#')
  const cut = hash === -1 ? target : target.slice(0, hash)
  if (!ORIGIN_FORM.test(cut)) throw new Problem('bad-request')
  return cut
}

/** The part of an absolute-form target (section 3.2.2) behind its authority; any other target as it is. */
export function withoutAuthority (target: string): string {
  if (target.startsWith('/')) return target
  const [front] = /^https?:\/\/[^/?#]*/i.exec(target) ?? []
  if (front === undefined) return target
  const rest = target.slice(front.length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

/**
 * The target below `root`, which is empty or '/path'.
 *
 * @throws {Problem} not-found, if it is outside
 */
export function belowRoot (target: string, root: string): string {
  if (root === '') return target
  if (!target.startsWith(root)) throw new Problem('not-found')
  const rest = target.slice(root.length)
  if (rest === '' || rest.startsWith('?')) return `/${rest}`
  if (!rest.startsWith('/')) throw new Problem('not-found')
  return rest
}

/** Percent-encoding within percent-encoding is undone so often: no server goes deeper. */
const MAX_DECODINGS = 4

/**
 * The paths that a server could take a target for: with every decoding, with `\` for `/`, and without path
 * parameters.
 */
function readings (target: string): string[] {
  const found: string[] = []
  let path = pathOf(target)
  for (let decodings = 0; decodings <= MAX_DECODINGS; decodings++) {
    const plain = path.replaceAll('\\', '/')
    found.push(plain, plain.replace(/;[^/]*/g, ''))
    // Byte by byte, since what is not valid UTF-8 elsewhere in the path must not hide it.
    const decoded = path.replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
    if (decoded === path) break
    path = decoded
  }
  return found
}

/** RFC 3986, section 5.2.4; empty segments are left out, too. A path that climbs out of its root begins with '/..'. */
function withoutDots (path: string): string {
  const kept: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue
    if (segment === '..' && kept.length > 0 && kept.at(-1) !== '..') kept.pop()
    else kept.push(segment)
  }
  return `/${kept.join('/')}`
}

/** Whether a target is nothing but plain characters: then it has one reading. Most targets are. */
const isPlain = (target: string) => !/[%\\;]|\/\.|\/\//.test(pathOf(target))

function pathOf (target: string): string {
  const end = target.indexOf('?')
  return end === -1 ? target : target.slice(0, end)
}

/** Whether a target names one of the proxy's own endpoints, however it is spelled: those are never forwarded. */
export function isSystemTarget (target: string): boolean {
  if (isPlain(target)) return isBelowPrefix(pathOf(target))
  // Dot segments that climb out of the root end there, for most servers.
  return readings(target).some(
    path => isBelowPrefix(path) || isBelowPrefix(withoutDots(path).replace(/^(?:\/\.\.)+(?=\/)/, ''))
  )
}

function isBelowPrefix (path: string): boolean {
  return path === SYSTEM_PREFIX || path.startsWith(`${SYSTEM_PREFIX}/`)
}

/** Whether dot segments of a target lead out of a path that is put in front of it. */
export function climbsOut (target: string): boolean {
  return !isPlain(target) && readings(target).some(path => /^\/\.\.(?:\/|$)/.test(withoutDots(path)))
}
