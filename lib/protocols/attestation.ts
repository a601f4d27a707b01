/**
 * The attestation document: what the proxy answers when a client asks it to prove its keys (RFC 9334, sections 7.1 and
 * 10.2: background check with a nonce). docs/attestation-document.md describes it. What ties its keys, claims and
 * device evidence to the evidence of the platform is the binding.
 *
 * A reader that knows less than the writer still reads it: unknown members and media types are passed over, unknown
 * kinds of keys and names of claims are bound like any other, and not used.
 */
export * from './attestation/binding.ts'
export * from './attestation/claims.ts'
export * from './attestation/reader.ts'
export * from './attestation/types.ts'
export * from './attestation/writer.ts'
