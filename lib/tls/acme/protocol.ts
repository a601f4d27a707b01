/** Where and how authorities come to validate. */

/** The protocol (RFC 7301) of tls-alpn-01. No other connection has it. */
export const ACME_TLS = 'acme-tls/1'
/** Of http-01; the token follows. */
export const CHALLENGE_PATH = '/.well-known/acme-challenge/'
