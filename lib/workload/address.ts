/** Where the workload listens, and which HTTP it speaks there. */

export interface WorkloadAddress {
  /** With the scheme of the connection: `http:` for h2c. */
  readonly url: URL
  /** HTTP/2 without TLS, from the first byte on (RFC 9113, section 3.3). */
  readonly isH2c: boolean
  /** To be put in front of each target: empty, or '/path'. */
  readonly basePath: string
}

const H2C = /^h2c:(?=\/\/)/i

/** Null if it is no URL. */
export function parseWorkloadAddress (text: string): WorkloadAddress | null {
  // The parser knows hosts and paths of the schemes of the web only: `h2c://LOCALHOST` would keep its capitals.
  const url = URL.parse(text.replace(H2C, 'http:'))
  return url && { url, isH2c: H2C.test(text), basePath: url.pathname.replace(/\/$/, '') }
}

/** @param text a URL that was tested */
export function workloadAddress (text: string): WorkloadAddress {
  const address = parseWorkloadAddress(text)
  if (address === null) throw new TypeError('Not a URL')
  return address
}
