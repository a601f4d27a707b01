/**
 * Connections whose TLS ends here with a key that no one else has: what arrives on them counts as encrypted. The mark
 * is on the socket itself, since what HTTP/2 shows of it is a proxy.
 */
const CONFIDENTIAL = Symbol('polaris.confidential')

type Markable = object & { [CONFIDENTIAL]?: true }

export function markConfidential (socket: object): void {
  (socket as Markable)[CONFIDENTIAL] = true
}

export function isConfidential (socket: object): boolean {
  return (socket as Markable)[CONFIDENTIAL] === true
}
