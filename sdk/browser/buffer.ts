/** Node's Buffer, which the `@sigstore` packages take for granted. */
export { Buffer } from 'buffer'
