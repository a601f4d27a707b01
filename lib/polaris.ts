/**
 * The shared decorator `fastify.polaris`. It is empty here on purpose: each plugin declares the member it adds,
 * in its own file, by declaration merging.
 */
export interface Polaris {}
