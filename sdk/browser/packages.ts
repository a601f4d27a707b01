/**
 * The `@sigstore` packages as one file, `browser-sigstore.js`, by the names that provenance/library.ts knows them by.
 */
export * as bundle from '@sigstore/bundle'
export * as 'protobuf-specs' from '@sigstore/protobuf-specs'
export * as verify from '@sigstore/verify'
